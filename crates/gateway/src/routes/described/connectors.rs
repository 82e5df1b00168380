//! Bodies about connectors. The schema of connector files is published by itself: the document has it in the place of
//! these.

use utoipa::ToSchema;

/// A connector file with its document in it.
#[derive(ToSchema)]
pub(crate) struct ConnectorFile {}

/// Members of a connector file.
#[derive(ToSchema)]
pub(crate) struct ConnectorChange {}
