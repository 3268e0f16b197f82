//! The documents of the contract that tools read, as they are checked in: [`shared/contract`](../../../../shared/contract).

use axum::http::header;
use axum::response::IntoResponse;

const JSON: &str = "application/json";

/// `GET /openapi.json`: what is asked over HTTP.
pub async fn openapi() -> impl IntoResponse {
    document(JSON, include_str!("../../../../shared/contract/openapi.json"))
}

/// `GET /asyncapi.json`: the events of Socket.IO.
pub async fn asyncapi() -> impl IntoResponse {
    document(JSON, include_str!("../../../../shared/contract/asyncapi.json"))
}

/// `GET /llms.txt`: where a language model finds what it needs.
pub async fn llms() -> impl IntoResponse {
    document(
        "text/plain; charset=utf-8",
        include_str!("../../../../shared/contract/llms.txt"),
    )
}

/// `GET /assistants.md`: the whole contract on a few pages, for coding assistants.
pub async fn assistants() -> impl IntoResponse {
    document(
        "text/markdown; charset=utf-8",
        include_str!("../../../../shared/contract/assistants.md"),
    )
}

fn document(kind: &'static str, text: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, kind)], text)
}
