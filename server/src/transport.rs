//! How clients reach the server, in the order in which a request passes: [`tcp`] accepts connections and bounds them,
//! [`http`] and [`socketio`] turn requests into calls of [`crate::chat`], and answers into their wire form.

pub mod http;
pub mod socketio;
pub mod tcp;
