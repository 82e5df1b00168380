//! The parameter of a path.

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;

use crate::ApiError;

/// The one parameter of a path, decoded.
#[derive(Clone, Debug)]
pub struct PathParameter(pub String);

impl<S: Send + Sync> FromRequestParts<S> for PathParameter {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        // Bytes that are no text name nothing.
        let path = Path::<String>::from_request_parts(parts, state).await;
        path.map(|Path(text)| Self(text))
            .map_err(|_| ApiError::not_found())
    }
}
