//! The built-in connector over the document that The Auth API really serves.

use claviger_gateway::gateway::built_in;

use crate::built_in::assert_published;

#[test]
fn the_served_document_yields_the_published_tools() {
    let document = claviger_api::document().to_string();
    assert_published(&built_in(document.as_bytes()).unwrap());
}
