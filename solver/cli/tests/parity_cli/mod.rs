//! `trm parity` as a program: its outcomes, exit codes and words.

use super::{assert_exit, assert_refused, folder, golden, json, stderr, stdout, trm};

#[test]
fn parity_fails_with_exit_1_and_says_where() {
    let folder = folder();
    // The stable weights against the recording of the plain ones.
    let (model, recorded) = (golden("maze_att_stable"), golden("maze_att"));
    let args =
        ["parity", &model.display().to_string(), "--golden", &recorded.display().to_string(), "--backend", "tract"];
    let output = trm(folder.path(), &args);
    assert_exit(&output, 1);
    assert!(stdout(&output).contains("OUT OF TOLERANCE"), "{}", stdout(&output));
    assert!(stdout(&output).contains("FAILED: largest error"), "{}", stdout(&output));

    let golden = golden("maze_att_stable").display().to_string();
    let args = ["parity", "--golden", &golden, "--backend", "tract", "--atol", "1e-12", "--json"];
    let output = trm(folder.path(), &args);
    assert_exit(&output, 1);
    assert_eq!(json(&output)["passed"], false);
}

#[test]
fn parity_says_which_graphs_an_engine_cannot_run() {
    let golden = golden("maze_att_stable").display().to_string();
    let output = trm(folder().path(), &["parity", "--golden", &golden, "--backend", "tract", "--graph", "solve"]);
    assert_exit(&output, 1);
    let text = stdout(&output);
    for expected in [
        "not judged: solve graph, step 1: tract cannot run the solve graph: it has no Loop operator; use the step or the \
         unrolled graph, or --backend ort",
        "NOT JUDGED: nothing is out of its limits in 0 steps, but ",
    ] {
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn parity_says_what_was_not_judged() {
    let folder = folder();
    // Its recursion is chaotic, and bfloat16 is coarse: the recording has limits for nothing.
    let chaotic = golden("sudoku_mlp_bf16").display().to_string();
    let output = trm(folder.path(), &["parity", "--golden", &chaotic, "--backend", "tract"]);
    assert_exit(&output, 1);
    let text = stdout(&output);
    assert!(text.contains("\nshown only: `logits_step01`: computed in less than 32 bits"), "{text}");
    assert!(text.contains("\nnot judged: no number of this recording is to be judged\nNOT JUDGED: "), "{text}");

    // The same recording under a name that promises more, and one without a manifest.
    let copy = folder.path().join("golden_stable");
    std::fs::create_dir(&copy).expect("a folder");
    for file in ["all_config.yaml", "dataset.json", "manifest.json", "outputs.safetensors", "step_1000"] {
        if golden("sudoku_mlp_bf16").join(file).is_file() {
            std::fs::copy(golden("sudoku_mlp_bf16").join(file), copy.join(file)).expect("copied");
        }
    }
    let args = ["parity", "--golden", "golden_stable", "--backend", "tract", "--json"];
    let output = trm(folder.path(), &args);
    assert_exit(&output, 1);
    let report = json(&output);
    assert_eq!((&report["passed"], &report["outcome"]), (&false.into(), &"not_judged".into()), "{report}");
    assert_eq!(report["not_judged"], serde_json::json!(["no number of this recording is to be judged"]));

    let manifest = r#"{"arch": {"seq_len": 81, "vocab_size": 11, "num_puzzle_identifiers": 1}}"#;
    std::fs::write(copy.join("manifest.json"), manifest).expect("written");
    let output = trm(folder.path(), &args);
    assert_exit(&output, 1);
    let report = json(&output);
    assert_eq!(report["outcome"], "not_judged", "{report}");
    assert!(report["not_judged"][0].as_str().is_some_and(|text| text.contains("no section `judge`")), "{report}");
}

#[test]
fn parity_judges_the_steps_that_are_asked_for() {
    let golden = golden("maze_learned_stable").display().to_string();
    let run = |graph: &str, steps: &str| {
        let args = ["parity", "--golden", &golden, "--backend", "tract", "--graph", graph, "--steps", steps, "--json"];
        let output = trm(folder().path(), &args);
        (output.status.code(), json(&output))
    };
    let (code, report) = run("unrolled", "2");
    assert_eq!((code, &report["outcome"]), (Some(0), &"passed".into()), "{report}");
    let left_out = report["left_out"].to_string();
    assert!(left_out.contains("`q_halt_logits` at steps 1, 3-16: not asked for"), "{left_out}");
    let (code, report) = run("step", "1,40");
    assert_eq!((code, &report["outcome"]), (Some(1), &"not_judged".into()), "{report}");
    assert_eq!(report["not_judged"], serde_json::json!(["step 40 was asked for, and is not recorded"]));
}

#[test]
fn parity_refuses_a_model_of_another_size() {
    let (model, recorded) =
        (golden("maze_att_stable").display().to_string(), golden("sudoku_mlp").display().to_string());
    assert_refused(&["parity", &model, "--golden", &recorded], "was recorded with 81 cells and 11 tokens");
    let empty = folder();
    let empty = empty.path().display().to_string();
    let output = trm(folder().path(), &["parity", "--golden", &empty]);
    assert_exit(&output, 2);
    assert!(stderr(&output).contains("cannot read"), "{}", stderr(&output));
}
