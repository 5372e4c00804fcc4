//! Names of the files that pictures are written to.

use std::path::{Path, PathBuf};

/// Names the file of the picture of puzzle `index` of `count`: the path itself for a single one, else numbered before the
/// extension, `answer.png` becoming `answer-001.png`.
#[must_use]
pub fn numbered(path: &Path, index: usize, count: usize) -> PathBuf {
    if count == 1 {
        return path.to_path_buf();
    }
    let digits = count.to_string().len().max(3);
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{stem}-{:0digits$}.png", index + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_of_several_puzzles_are_numbered() {
        let path = Path::new("out/answer.png");
        assert_eq!(numbered(path, 0, 1), path);
        assert_eq!(numbered(path, 0, 2), Path::new("out/answer-001.png"));
        assert_eq!(numbered(path, 1233, 2000), Path::new("out/answer-1234.png"));
    }
}
