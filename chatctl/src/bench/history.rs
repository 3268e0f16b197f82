//! `bench history`: pages of random conversations ([`pages`]), or whole conversations ([`full`]).

mod full;
mod pages;
mod reader;

pub(super) use self::full::full;
pub(super) use self::pages::pages;
