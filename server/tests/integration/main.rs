//! What others run on what this project offers: tools that read its contracts, browsers that open its pages.

mod pages;
