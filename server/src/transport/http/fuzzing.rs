//! Fuzz targets of this module: paths and queries.

use axum::extract::Query;
use axum::http::{Request, Uri};
use serde::de::DeserializeOwned;

use super::feed::FeedQuery;
use super::history::PageQuery;
use super::paths::{as_asked, route};
use super::users::ListQuery;
use crate::config::paths::Paths;

/// The target of a request: a path and a query.
pub fn queries(data: &[u8]) {
    let Ok(uri) = Uri::try_from(data) else { return };
    for paths in [Paths::new("", None), Paths::new("/api", Some("/ws"))] {
        let routed = route(&paths, Request::builder().uri(uri.clone()).body(()).unwrap_or_default());
        assert_eq!(routed.uri().query(), uri.query());
        assert!(as_asked(routed.uri()).len() <= uri.path().len().max(routed.uri().path().len()));
    }
    if let Some(page) = decode::<PageQuery>(&uri)
        && let Err(error) = page.decode()
    {
        assert!(error.message.len() <= 1_024, "{}", error.message.len());
    }
    decode::<FeedQuery>(&uri);
    decode::<ListQuery>(&uri);
}

fn decode<T: DeserializeOwned>(uri: &Uri) -> Option<T> {
    Query::try_from_uri(uri).ok().map(|Query(query)| query)
}
