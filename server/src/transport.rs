//! How clients reach the server, in the order in which a request passes: [`tcp`] accepts connections and bounds them,
//! [`http`] and [`socketio`] decode requests, call [`crate::chat`], and encode its answers.

pub mod client_files;
pub mod context;
pub mod http;
pub mod level_timer;
pub mod mint;
pub mod node;
pub mod pages;
pub mod socketio;
pub mod store_check;
pub mod tcp;
