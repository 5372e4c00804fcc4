//! Who else can replace a library: whoever can write it, its folder, or a folder above.

use std::path::Path;

/// Who besides root and this user can replace the library, or put one of its own beside it: one sentence, or `None` if
/// nobody can. `found` is where it was found, `real` the same without links.
#[cfg(unix)]
pub(super) fn of(found: &Path, real: &Path) -> Option<String> {
    let Some(me) = unix::this_user() else { return Some("this user's number is not known".to_owned()) };
    unix::of_file(real, me).or_else(|| {
        // Links of the folder lead elsewhere; who can write into it can lead them astray.
        let folder = std::fs::canonicalize(found.parent()?).ok()?;
        let other = real.parent() != Some(&folder);
        other.then(|| unix::of_folder(&folder, me)).flatten()
    })
}

/// Nothing is known of permissions here.
#[cfg(not(unix))]
pub(super) fn of(_found: &Path, _real: &Path) -> Option<String> {
    None
}

#[cfg(unix)]
mod unix {
    use std::fs::{self, Metadata};
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    const GROUP: u32 = 0o020;
    const OTHERS: u32 = 0o002;
    const STICKY: u32 = 0o1000;

    /// The effective user's number.
    pub(super) fn this_user() -> Option<u32> {
        // Linux gives the process's folder to its user, or to root where the process hides from others; then less is
        // trusted. Elsewhere a new file tells.
        let process = fs::metadata("/proc/self");
        let fresh = || tempfile::tempfile()?.metadata();
        process.or_else(|_| fresh()).ok().map(|metadata| metadata.uid())
    }

    /// Who can replace a file, given without links.
    pub(super) fn of_file(file: &Path, me: u32) -> Option<String> {
        let metadata = match fs::metadata(file) {
            Ok(metadata) => metadata,
            Err(error) => return Some(format!("cannot see who may write it: {error}")),
        };
        if !trusted(metadata.uid(), me) {
            return Some(format!("it belongs to user {}, neither to root nor to this user", metadata.uid()));
        }
        if writable_by_others(&metadata, me) {
            return Some(format!("others can write it (mode {:o})", metadata.mode() & 0o7777));
        }
        of_folder(file.parent()?, me)
    }

    /// Who can change what is in a folder, given without links.
    pub(super) fn of_folder(folder: &Path, me: u32) -> Option<String> {
        for (above, folder) in folder.ancestors().enumerate() {
            let shown = folder.display();
            let metadata = match fs::metadata(folder) {
                Ok(metadata) => metadata,
                Err(error) => return Some(format!("cannot see who may write into {shown}: {error}")),
            };
            if !trusted(metadata.uid(), me) {
                return Some(format!("{shown} belongs to user {}, neither to root nor to this user", metadata.uid()));
            }
            // In a sticky folder, as /tmp, others can add what they like and replace nothing of this user's or root's; what
            // is further down has been found to be theirs. Beside the library, adding is enough: it loads its neighbours.
            let kept = above > 0 && metadata.mode() & STICKY != 0;
            if writable_by_others(&metadata, me) && !kept {
                return Some(format!("others can write into {shown} (mode {:o})", metadata.mode() & 0o7777));
            }
        }
        None
    }

    fn trusted(owner: u32, me: u32) -> bool {
        owner == 0 || owner == me
    }

    fn writable_by_others(metadata: &Metadata, me: u32) -> bool {
        // Debian and Ubuntu give each user a group of the same number and nobody else in it, and let it write what the user
        // makes: a virtual environment is like that there.
        let own_group = me != 0 && metadata.gid() == me;
        let mode = metadata.mode();
        mode & OTHERS != 0 || mode & GROUP != 0 && !own_group
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;

    #[test]
    fn a_library_that_others_can_replace_is_told_with_the_folder() {
        let root = tempfile::tempdir().expect("a folder");
        let root = fs::canonicalize(root.path()).expect("a path");
        let folder = root.join("a/b");
        fs::create_dir_all(&folder).expect("folders");
        let file = folder.join("libonnxruntime.so");
        fs::write(&file, "").expect("a file");
        let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).expect("a mode");
        for path in [&root, &root.join("a"), &folder] {
            mode(path, 0o755);
        }
        mode(&file, 0o644);
        assert_eq!(of(&file, &file), None);

        for (path, writable) in [(&folder, 0o757), (&root.join("a"), 0o777), (&root, 0o703)] {
            mode(path, writable);
            let expected = format!("others can write into {} (mode {writable:o})", path.display());
            assert_eq!(of(&file, &file), Some(expected));
            mode(path, 0o755);
        }
        // Sticky: nobody else can take the folder below away. Beside the library that is not enough.
        mode(&root, 0o1777);
        assert_eq!(of(&file, &file), None);
        mode(&root, 0o755);
        mode(&folder, 0o1777);
        assert_eq!(of(&file, &file), Some(format!("others can write into {} (mode 1777)", folder.display())));
        mode(&folder, 0o755);

        mode(&file, 0o646);
        assert_eq!(of(&file, &file), Some("others can write it (mode 646)".to_owned()));
        mode(&file, 0o644);

        // A link in a folder that others can write leads wherever they like.
        let open = root.join("open");
        fs::create_dir(&open).expect("a folder");
        mode(&open, 0o777);
        let link = open.join("libonnxruntime.so");
        std::os::unix::fs::symlink(&file, &link).expect("a link");
        assert_eq!(of(&link, &file), Some(format!("others can write into {} (mode 777)", open.display())));
    }

    #[test]
    fn a_group_counts_as_others_unless_it_is_the_users_own() {
        let root = tempfile::tempdir().expect("a folder");
        let root = fs::canonicalize(root.path()).expect("a path");
        fs::set_permissions(&root, Permissions::from_mode(0o775)).expect("a mode");
        let metadata = fs::metadata(&root).expect("metadata");
        let me = unix::this_user().expect("a number");
        assert_eq!(metadata.uid(), me);
        let own_group = me != 0 && metadata.gid() == me;
        assert_eq!(unix::of_folder(&root, me).is_some(), !own_group, "{metadata:?}");
    }

    #[test]
    fn another_users_file_is_not_trusted() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::set_permissions(file.path(), Permissions::from_mode(0o600)).expect("a mode");
        let owner = file.as_file().metadata().expect("metadata").uid();
        let found = unix::of_file(file.path(), owner + 1);
        if owner == 0 {
            // Root is trusted by everybody; the folder is the world's.
            assert!(found.expect("/tmp is").contains("others can write into"));
        } else {
            assert_eq!(found, Some(format!("it belongs to user {owner}, neither to root nor to this user")));
        }
    }
}
