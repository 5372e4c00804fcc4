//! Reading and writing checkpoints: files of torch itself, and files that are none.
use std::path::{Path, PathBuf};
use trm_export::checkpoint::StateDict;
#[test]
fn tmp() {
    for e in std::fs::read_dir("tests/fixtures/checkpoint").unwrap() {
        let p = e.unwrap().path();
        println!("{}: {:?}", p.display(), StateDict::read(&p).map_err(|e| e.to_string()));
    }
    for d in ["/work/shared/golden", "/work/shared/checkpoints"] {
        for e in std::fs::read_dir(d).unwrap() {
            let p = e.unwrap().path();
            for f in ["step_1000", "checkpoint.pt"] {
                let p = p.join(f);
                if p.exists() {
                    let s = StateDict::read(&p).unwrap();
                    let o = format!("/work/scratch/models/{}", p.parent().unwrap().file_name().unwrap().to_str().unwrap());
                    s.write_torch(format!("{o}.pt"), trm_export::checkpoint::DEFAULT_PREFIX).unwrap();
                    s.write_safetensors(format!("{o}.safetensors"), trm_export::checkpoint::DEFAULT_PREFIX).unwrap();
                    println!("{} {}", p.display(), s.num_parameters());
                }
            }
        }
    }
}
