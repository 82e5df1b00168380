//! What was asked of the program, counted by route: never by path, key or account.
//!
//! A request costs three additions and no allocation: a route's counters are found by its template
//! in a table that is only ever added to.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use claviger_verify::Histogram;
use http::StatusCode;

/// Room for routes; the program has fewer than half as many.
const SLOTS: usize = 256;

/// Methods as they are counted; all else is the last.
const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "other"];
/// Statuses as they are counted.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// The counters of requests, and of tools that were called.
#[derive(Debug)]
pub struct Traffic {
    routes: Box<[OnceLock<Route>]>,
    /// Where there is no more room.
    rest: Route,
    tools: [AtomicU64; ToolOutcome::ALL.len()],
    tool_durations: Histogram,
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            routes: (0..SLOTS).map(|_| OnceLock::new()).collect(),
            rest: Route::new("rest"),
            tools: Default::default(),
            tool_durations: Histogram::default(),
        }
    }
}

/// The counters of one route.
#[derive(Debug)]
pub struct Route {
    template: Box<str>,
    answers: [[AtomicU64; CLASSES.len()]; METHODS.len()],
    durations: Histogram,
}

/// What became of a tool that was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToolOutcome {
    /// The upstream did it.
    Ok,
    /// It was refused, here or by the upstream.
    Refused,
    /// It failed, here or in the upstream.
    Failed,
    /// Nobody waited for the answer any more.
    Gone,
}

impl ToolOutcome {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ok, Self::Refused, Self::Failed, Self::Gone];

    /// The outcome in a metric's label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Gone => "gone",
        }
    }

    /// What the status in a call's log line says.
    fn of(status: i64) -> Self {
        match status {
            499 => Self::Gone,
            ..400 => Self::Ok,
            400..500 => Self::Refused,
            _ => Self::Failed,
        }
    }
}

impl Traffic {
    /// The counters of the route with that template.
    pub(crate) fn route(&self, template: &str) -> &Route {
        let mut hasher = DefaultHasher::new();
        template.hash(&mut hasher);
        let first = usize::from(hasher.finish().to_le_bytes()[0]);
        let slots = self.routes[first..].iter().chain(&self.routes[..first]);
        for slot in slots {
            let route = slot.get_or_init(|| Route::new(template));
            if &*route.template == template {
                return route;
            }
        }
        &self.rest
    }

    /// All routes that were asked for.
    pub fn routes(&self) -> impl Iterator<Item = &Route> {
        let routes = self.routes.iter().filter_map(OnceLock::get);
        routes.chain([&self.rest])
    }

    /// Counts a call of a tool with the status that its log line has.
    pub fn tool_called(&self, status: i64, duration_us: i64) {
        add(&self.tools[ToolOutcome::of(status) as usize]);
        self.tool_durations.add(duration_us);
    }

    /// Calls of tools by what became of them.
    pub fn tool_calls(&self) -> impl Iterator<Item = (ToolOutcome, u64)> {
        ToolOutcome::ALL
            .into_iter()
            .zip(self.tools.iter().map(read))
    }

    /// How long calls of tools took.
    pub fn tool_durations(&self) -> &Histogram {
        &self.tool_durations
    }
}

impl Route {
    fn new(template: &str) -> Self {
        Self {
            template: template.into(),
            answers: Default::default(),
            durations: Histogram::default(),
        }
    }

    pub(crate) fn answered(&self, method: usize, status: StatusCode, duration_us: i64) {
        let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES.len()) - 1;
        add(&self.answers[method][class]);
        self.durations.add(duration_us);
    }

    /// Its template, such as `/api-keys/{id}`, or `unmatched`.
    pub fn template(&self) -> &str {
        &self.template
    }

    /// Its answers by method and class of status (`2xx`), where there are any.
    pub fn answers(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let of_method = METHODS.into_iter().zip(&self.answers);
        let all = of_method.flat_map(|(method, classes)| {
            let counts = classes.iter().map(read);
            CLASSES
                .into_iter()
                .zip(counts)
                .map(move |(class, count)| (method, class, count))
        });
        all.filter(|(_, _, count)| *count > 0)
    }

    /// How long its answers took, until they began to be sent.
    pub fn durations(&self) -> &Histogram {
        &self.durations
    }
}

/// Where a method is counted. A name that a client made up is none of its own.
pub(crate) fn place_of(method: &str) -> usize {
    let known = METHODS.iter().position(|name| method == *name);
    known.unwrap_or(METHODS.len() - 1)
}

/// Nothing is read off the order in which counters change.
fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(traffic: &Traffic) -> Vec<(String, &'static str, &'static str, u64)> {
        let routes = traffic.routes();
        let mut all: Vec<_> = routes
            .flat_map(|route| {
                let name = route.template().to_owned();
                route
                    .answers()
                    .map(move |(method, class, count)| (name.clone(), method, class, count))
            })
            .collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn answers_are_counted_by_route_method_and_class() {
        let traffic = Traffic::default();
        let answer = |template: &str, method: &str, status: u16| {
            let status = StatusCode::from_u16(status).unwrap();
            let route = traffic.route(template);
            route.answered(place_of(method), status, 1);
        };
        answer("/a", "GET", 200);
        answer("/a", "GET", 204);
        answer("/a", "BREW", 418);
        answer("/b", "DELETE", 503);
        let count = |route: &str, method, class, count| (route.to_owned(), method, class, count);
        assert_eq!(
            counted(&traffic),
            [
                count("/a", "GET", "2xx", 2),
                count("/a", "other", "4xx", 1),
                count("/b", "DELETE", "5xx", 1),
            ]
        );
    }

    #[test]
    fn more_routes_than_there_is_room_for_share_the_rest() {
        let traffic = Traffic::default();
        for number in 0..SLOTS + 10 {
            let route = traffic.route(&format!("/{number}"));
            route.answered(0, StatusCode::OK, 1);
        }
        let all = counted(&traffic);
        assert_eq!(all.len(), SLOTS + 1);
        assert!(all.contains(&("rest".to_owned(), "GET", "2xx", 10)));
    }
}
