//! The parameters of a path.

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::ApiError;

/// The one parameter of a path, decoded; or several, in their order.
#[derive(Clone, Debug)]
pub struct PathParameter<T = String>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for PathParameter<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        // Bytes that are no text name nothing.
        let path = Path::<T>::from_request_parts(parts, state).await;
        path.map(|Path(texts)| Self(texts))
            .map_err(|_| ApiError::not_found())
    }
}
