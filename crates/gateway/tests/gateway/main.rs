//! The gateway from outside, in one binary.

#[cfg(test)]
mod admission;
#[cfg(test)]
mod browser;
#[cfg(test)]
mod budgets;
#[cfg(test)]
mod built_in;
#[cfg(test)]
mod callers;
#[cfg(test)]
mod calls;
#[cfg(test)]
mod capabilities;
#[cfg(test)]
mod connected_accounts;
#[cfg(test)]
mod connectors;
#[cfg(test)]
mod consent;
#[cfg(test)]
mod custom;
#[cfg(test)]
mod derived;
#[cfg(test)]
mod discovery;
#[cfg(test)]
mod document;
#[cfg(test)]
mod in_flight;
#[cfg(test)]
mod linking;
#[cfg(test)]
mod log;
#[cfg(test)]
mod makers;
#[cfg(test)]
mod oauth;
#[cfg(test)]
mod odd_apis;
#[cfg(test)]
mod official_client;
#[cfg(test)]
mod operations;
#[cfg(test)]
mod others;
#[cfg(test)]
mod overrides;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod races;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod rights;
#[cfg(test)]
mod roles;
#[cfg(test)]
mod schemas;
#[cfg(test)]
mod sealing;
#[cfg(test)]
mod server_changes;
#[cfg(test)]
mod servers;
#[cfg(test)]
mod shop;
#[cfg(test)]
mod upstreams;
#[cfg(test)]
mod world;
