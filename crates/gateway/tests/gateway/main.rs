//! The gateway from outside, in one binary.

#[cfg(test)]
mod built_in;
#[cfg(test)]
mod schemas;
