//! Command line of the chat.
fn main() {}
