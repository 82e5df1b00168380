//! The files of SQLite: nobody else reads them.

use std::os::unix::fs::PermissionsExt;

use claviger_store::Location;
use claviger_testkit::world::World;

#[tokio::test]
async fn database_files_are_their_owner_s_alone() {
    let world = World::on_sqlite().await;
    world.account("mine").await;
    let Location::Folder(folder) = &world.location else {
        unreachable!("a world on SQLite is a folder");
    };
    let mut names = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        let name = file.file_name().into_string().unwrap();
        assert_eq!(mode, 0o600, "{name}");
        names.push(name);
    }
    assert!(names.iter().any(|name| name == "usage.db"));
    assert!(names.iter().any(|name| name == "claviger.db-wal"));
}
