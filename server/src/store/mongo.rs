//! The store in a MongoDB deployment.
