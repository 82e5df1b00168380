//! What an operation needs of who calls it. The type of its handler tells, so that no document says otherwise than
//! what is checked.

use axum::extract::State;
use axum::handler::Handler;
use axum::routing::MethodRouter;
use claviger_domain::role::Role;
use serde_json::Value;
use utoipa::openapi::path::{Operation, PathItem, Paths};
use utoipa::openapi::{RefOr, Schema};

use crate::{Anyone, Caller, Requires, SignedIn};

/// The member of an operation that has the sentence, until [`tell_needs`] puts it where people read.
const NEEDS: &str = "x-needs";

/// Who may call, as an argument of a handler.
pub trait Needs {
    /// The same as a sentence.
    fn sentence() -> String;
}

impl<P: Requires> Needs for Caller<P> {
    fn sentence() -> String {
        let on_projects = P::PERMISSION.is_held_on_projects();
        let roles = Role::ALL.into_iter();
        let roles: Vec<_> = roles
            .filter(|role| role.permissions().contains(P::PERMISSION))
            .map(|role| match role.as_str() {
                name if on_projects || role.needs_account() => name.to_owned(),
                name => format!("{name} on an account"),
            })
            .collect();
        let name = P::PERMISSION.as_str();
        format!("Needs `{name}` (roles: {}).", roles.join(", "))
    }
}

impl Needs for SignedIn {
    fn sentence() -> String {
        "Needs the access token of a user who is signed in: no key may, whatever its role."
            .to_owned()
    }
}

impl Needs for Anyone {
    fn sentence() -> String {
        "Needs no credential.".to_owned()
    }
}

/// The arguments of a handler: who may call is the first beside the state.
pub trait Arguments {
    /// That one.
    type Caller: Needs;
}

impl<M, C: Needs> Arguments for (M, C) {
    type Caller = C;
}

macro_rules! arguments {
    ($($more:ident)*) => {
        impl<M, S, C: Needs, $($more),*> Arguments for (M, State<S>, C, $($more),*) {
            type Caller = C;
        }
    };
}

arguments!();
arguments!(A1);
arguments!(A1 A2);
arguments!(A1 A2 A3);
arguments!(A1 A2 A3 A4);

/// What `utoipa_axum::routes!` makes of handlers.
pub type Routes<S> = (Vec<(String, RefOr<Schema>)>, Paths, MethodRouter<S>);

/// Puts handlers of one path into a router, and into the document with what each of them needs.
///
/// It stands for the macro of `utoipa_axum`, which a crate that uses it needs as well. A handler that does not say who
/// may call it does not compile.
#[macro_export]
macro_rules! routes {
    ($($handler:path),+ $(,)?) => {
        $crate::document::together([
            $($crate::document::with_needs(utoipa_axum::routes!($handler), $handler)),+
        ])
    };
}

/// Adds what their handler needs to the operations of `routes`.
pub fn with_needs<H, T, S>((schemas, mut paths, router): Routes<S>, _: H) -> Routes<S>
where
    H: Handler<T, S>,
    T: Arguments,
{
    let operations = paths.paths.values_mut().flat_map(operations_of);
    for operation in operations {
        let extensions = operation.extensions.get_or_insert_default();
        extensions.insert(NEEDS.to_owned(), T::Caller::sentence().into());
    }
    (schemas, paths, router)
}

fn operations_of(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let reading = [&mut item.get, &mut item.head, &mut item.options];
    let changing = [&mut item.post, &mut item.put, &mut item.patch];
    let all = reading.into_iter().chain(changing);
    all.chain([&mut item.delete]).flatten()
}

/// Several routes of one path as one.
pub fn together<S, const N: usize>(routes: [Routes<S>; N]) -> Routes<S>
where
    S: Clone + Send + Sync + 'static,
{
    let mut all: Routes<S> = (Vec::new(), Paths::new(), MethodRouter::new());
    for (schemas, paths, router) in routes {
        all.0.extend(schemas);
        all.1.merge(paths);
        all.2 = all.2.merge(router);
    }
    all
}

/// Ends each operation's description with what it needs.
///
/// For people. Tools are made of the document before: agents do not choose their credential, and a search among tools
/// is to find what they do.
pub fn tell_needs(document: &mut Value) {
    let items = document["paths"].as_object_mut().into_iter().flatten();
    let operations = items.flat_map(|(_, item)| item.as_object_mut().into_iter().flatten());
    for (_, operation) in operations {
        let needs = operation.as_object_mut().and_then(|all| all.remove(NEEDS));
        if let Some(needs) = needs.as_ref().and_then(Value::as_str) {
            let about = operation["description"].as_str().unwrap_or_default();
            operation["description"] = format!("{about}\n\n{needs}").into();
        }
    }
}
