//! Inside a crate, and inside each of its modules, modules import each other in one direction.
//! (Between crates cargo sees to it.) The scan reads `crate::…` and `super::…` paths in the text: it knows no macros and
//! follows no re-exports, which is enough for a rule that people keep anyway.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Result, bail};

use super::sources::{Crate, Source, crates};

/// Which modules a module names, each with the file that names it first.
type Arrows = BTreeMap<String, BTreeMap<String, String>>;

pub(super) fn check(workspace: &Path) -> Result<()> {
    let circles: Vec<String> = crates(workspace)?.iter().filter_map(circle).collect();
    if !circles.is_empty() {
        bail!("modules that import each other:\n{}", circles.join("\n"));
    }
    Ok(())
}

/// The first circle of a crate, in words: among its top-level modules, or among those of a module.
fn circle(krate: &Crate) -> Option<String> {
    let folders: BTreeSet<&Path> = krate
        .sources
        .iter()
        .filter_map(|source| source.inner.parent())
        .collect();
    folders
        .into_iter()
        .find_map(|folder| circle_in(krate, folder))
}

fn circle_in(krate: &Crate, folder: &Path) -> Option<String> {
    let arrows = arrows(&krate.sources, folder);
    let mut done = BTreeSet::new();
    let path = arrows
        .keys()
        .find_map(|module| walk(module, &arrows, &mut Vec::new(), &mut done))?;
    let steps = path
        .windows(2)
        .map(|step| format!("{} -> {}", step[0], step[1]));
    let files = path
        .windows(2)
        .map(|step| arrows[&step[0]][&step[1]].clone());
    let lines: Vec<_> = steps
        .zip(files)
        .map(|(step, file)| format!("  {step} ({file})"))
        .collect();
    let place = Path::new(&krate.name).join(folder);
    Some(format!(
        "{}:\n{}",
        place.display().to_string().trim_end_matches('/'),
        lines.join("\n")
    ))
}

/// Follows the arrows from `module`, and gives the path that comes back to where it has been.
fn walk(
    module: &str,
    arrows: &Arrows,
    path: &mut Vec<String>,
    done: &mut BTreeSet<String>,
) -> Option<Vec<String>> {
    if let Some(start) = path.iter().position(|passed| passed == module) {
        let mut found = path.split_off(start);
        found.push(module.to_owned());
        return Some(found);
    }
    if !done.contains(module) {
        path.push(module.to_owned());
        for next in arrows.get(module).into_iter().flat_map(BTreeMap::keys) {
            if let Some(found) = walk(next, arrows, path, done) {
                return Some(found);
            }
        }
        path.pop();
        done.insert(module.to_owned());
    }
    None
}

/// What the modules of `folder`, which is the crate's own or that of a module, name of each other.
fn arrows(sources: &[Source], folder: &Path) -> Arrows {
    let inside: Vec<_> = sources
        .iter()
        .filter_map(|source| Some((source, module_of(source.inner.strip_prefix(folder).ok()?))))
        .collect();
    let modules: BTreeSet<&String> = inside.iter().map(|(_, (module, _))| module).collect();
    let mut from_the_crate = "crate::".to_owned();
    for part in folder {
        from_the_crate.push_str(&part.to_string_lossy());
        from_the_crate.push_str("::");
    }
    let mut arrows = Arrows::new();
    for (source, (module, depth)) in &inside {
        // The root names all its modules, and whoever uses it means what it re-exports.
        if *depth == 0 {
            continue;
        }
        let text = without_comments(&source.text);
        let root = "super::".repeat(*depth);
        let named = heads_after(&text, &from_the_crate).chain(heads_after(&text, &root));
        for other in named.filter(|other| other != module && modules.contains(other)) {
            arrows
                .entry(module.clone())
                .or_default()
                .entry(other)
                .or_insert_with(|| source.shown.clone());
        }
    }
    arrows
}

/// The module that a file belongs to, by its path from the folder, and how deep it lies there.
fn module_of(inner: &Path) -> (String, usize) {
    let mut parts: Vec<String> = inner
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    if let Some(last) = parts.last_mut() {
        *last = last.trim_end_matches(".rs").to_owned();
    }
    match parts.as_slice() {
        [root] if root == "lib" || root == "main" => (String::new(), 0),
        _ => (parts[0].clone(), parts.len()),
    }
}

fn without_comments(text: &str) -> String {
    let code = text
        .lines()
        .map(|line| line.split_once("//").map_or(line, |(code, _)| code));
    code.collect::<Vec<_>>().join("\n")
}

/// The names that directly follow `prefix`, also in a braced group: `a` and `b` of `crate::{a::C, b}`.
fn heads_after<'text>(text: &'text str, prefix: &str) -> impl Iterator<Item = String> {
    let starts = text.match_indices(prefix).filter(|(start, _)| {
        // `super::super::x` is no `super::x`, and `my_crate::x` no `crate::x`.
        !text[..*start].ends_with(|before: char| before.is_alphanumeric() || "_:".contains(before))
    });
    let tails: Vec<&'text str> = starts
        .map(|(start, _)| &text[start + prefix.len()..])
        .collect();
    tails.into_iter().flat_map(heads)
}

fn heads(tail: &str) -> Vec<String> {
    let Some(group) = tail.strip_prefix('{') else {
        return vec![identifier(tail)];
    };
    let mut depth = 0_usize;
    let mut found = vec![identifier(group)];
    for (position, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => found.push(identifier(&group[position + 1..])),
            _ => {}
        }
    }
    found
}

fn identifier(text: &str) -> String {
    let word = text.trim_start();
    word.chars()
        .take_while(|character| character.is_alphanumeric() || *character == '_')
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn krate(files: &[(&str, &str)]) -> Crate {
        let source = |(path, text): &(&str, &str)| Source {
            shown: format!("src/{path}"),
            inner: path.into(),
            text: (*text).to_owned(),
        };
        Crate {
            name: "store".to_owned(),
            sources: files.iter().map(source).collect(),
        }
    }

    #[test]
    fn a_circle_is_told_with_the_files_that_close_it() {
        let found = circle(&krate(&[
            ("keys.rs", "use crate::events::append;"),
            ("events.rs", ""),
            (
                "events/feed.rs",
                "use crate::{\n    projects::{Project, Row},\n    sql,\n};",
            ),
            ("projects.rs", "fn f() -> super::keys::Key {}"),
            ("sql.rs", ""),
        ]));
        let expected = "store:\n  events -> projects (src/events/feed.rs)\n  projects -> keys \
                        (src/projects.rs)\n  keys -> events (src/keys.rs)";
        assert_eq!(found.as_deref(), Some(expected));
    }

    #[test]
    fn arrows_one_way_are_no_circle() {
        let one_way = krate(&[
            ("lib.rs", "mod keys;\nmod events;\nuse crate::keys::Key;"),
            ("keys.rs", "use crate::events;\nuse other_crate::keys;"),
            (
                "keys/create.rs",
                "use super::Key;\nuse super::super::events;\nuse crate::keys::Key;",
            ),
            ("events.rs", "// unlike crate::keys\nuse crate::Error;"),
        ]);
        assert_eq!(circle(&one_way), None);
    }

    #[test]
    fn a_circle_inside_a_module_is_one_too() {
        let found = circle(&krate(&[
            ("mcp.rs", "mod tools;\nmod current;"),
            ("mcp/tools.rs", "use super::current::complete;"),
            ("mcp/current.rs", "use crate::mcp::tools::list;"),
        ]));
        let expected = "store/mcp:\n  current -> tools (src/mcp/current.rs)\n  tools -> current \
                        (src/mcp/tools.rs)";
        assert_eq!(found.as_deref(), Some(expected));
    }

    #[test]
    fn super_from_a_nested_module_is_not_the_root() {
        let nested = krate(&[
            ("keys.rs", "use crate::events;"),
            ("events/feed.rs", "use super::keys;"),
            ("events.rs", "mod keys;"),
        ]);
        assert_eq!(circle(&nested), None);
    }
}
