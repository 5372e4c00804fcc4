//! Costs learned from drives, as a user does it: worlds and drives, training, plans by the model, and what is refused.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn trm(folder: &Path, arguments: &[&str]) -> Output {
    assert!(
        std::env::var_os("ORT_DYLIB_PATH").is_some(),
        "training needs ONNX Runtime, but ORT_DYLIB_PATH is not set: run `cargo xtask test`"
    );
    Command::new(env!("CARGO_BIN_EXE_trm")).current_dir(folder).args(arguments).output().expect("trm runs")
}

fn done(folder: &Path, arguments: &[&str]) -> String {
    let output = trm(folder, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn refused(folder: &Path, arguments: &[&str]) -> String {
    let output = trm(folder, arguments);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr).expect("UTF-8")
}

fn json(text: &str) -> Value {
    serde_json::from_str(text.lines().next().expect("a line")).expect("JSON")
}

/// The drives of a file.
fn drives(folder: &Path, name: &str) -> Vec<Value> {
    std::fs::read_to_string(folder.join(name)).expect("drives").lines().map(json).collect()
}

/// A linear model: seconds instead of minutes.
const QUICK: [&str; 6] = ["--set", "L_layers=0", "--set", "steps=200", "--threads", "1"];

#[test]
fn from_drives_to_plans() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    done(folder, &["worlds", "ground", "--out", "site", "--side", "48", "--tests", "6"]);
    assert_eq!(drives(folder, "site/drives.jsonl").len(), 20);
    let again = refused(folder, &["worlds", "ground", "--out", "site"]);
    assert!(again.contains("site has drives already"), "{again}");

    let train =
        [&["train", "--task", "costs", "--data", "site/drives.jsonl", "--out", "run", "--json"][..], &QUICK].concat();
    let trained = json(&done(folder, &train));
    assert_eq!((trained["drives"].as_u64(), trained["after"]["n"].as_u64()), (Some(16), Some(4)));
    assert!(trained["after"]["shared"].as_f64() > trained["before"]["shared"].as_f64(), "{trained}");
    assert!(done(folder, &["inspect", "run/model"]).contains("layer      ground, 6 classes"));

    // In worlds that it has not seen, paths by the model are cheaper than the shortest, by costs that it was never told.
    let (mut by_model, mut shortest) = (0.0, 0.0);
    for test in drives(folder, "site/tests.jsonl") {
        let map = format!("site/{}", test["map"].as_str().expect("a map"));
        let ground = format!("ground=site/{}", test["layers"]["ground"].as_str().expect("a layer"));
        let path = test["path"].as_array().expect("a path");
        let place = |place: &Value| format!("{},{}", place[0], place[1]);
        let (start, goal) = (place(&path[0]), place(&path[path.len() - 1]));
        let ends = ["plan", "--map", &map, "--start", &start, "--goal", &goal, "--json"];
        let learned = json(&done(
            folder,
            &[&ends[..], &["--costs", "run/model", "--layer", &ground, "--backend", "rten"]].concat(),
        ));
        assert_eq!((learned["cost_model"].as_str(), learned["cost_backend"].as_str()), (Some("run"), Some("rten")));
        assert_eq!(format!("ground={}", learned["layers"]["ground"].as_str().expect("a layer")), ground);
        let direct = json(&done(folder, &[&ends[..], &["--inflation", "0"]].concat()));
        // What a plan costs by the model, of both.
        by_model += learned["cost"].as_f64().expect("a cost") / learned["optimal_cost"].as_f64().expect("a cost");
        shortest += direct["length_m"].as_f64().expect("a length") / learned["length_m"].as_f64().expect("a length");
    }
    assert!(by_model <= 6.0 + 1e-6, "no dearer than exact search in eight directions: {by_model}");
    assert!(shortest < 6.0, "around dear ground it is longer: {shortest}");

    // A plan as it is printed is a drive to learn from.
    let test = &drives(folder, "site/tests.jsonl")[0];
    let ground = format!("ground=site/{}", test["layers"]["ground"].as_str().expect("a layer"));
    let map = format!("site/{}", test["map"].as_str().expect("a map"));
    let place = |at: usize| format!("{},{}", test["path"][at][0], test["path"][at][1]);
    let last = test["path"].as_array().expect("a path").len() - 1;
    let plan = [
        "plan",
        "--map",
        &map,
        "--start",
        &place(0),
        "--goal",
        &place(last),
        "--json",
        "--costs",
        "run/model",
        "--layer",
        &ground,
    ];
    std::fs::write(folder.join("plan.jsonl"), done(folder, &plan)).expect("written");
    let more = [
        "train",
        "--from",
        "run/model",
        "--data",
        "plan.jsonl",
        "--out",
        "more",
        "--json",
        "--set",
        "steps=2",
        "--keep",
    ];
    let more = json(&done(folder, &more));
    assert_eq!((more["measured_on_its_own"].as_bool(), more["drives"].as_u64()), (Some(true), Some(1)));
}

#[test]
fn what_cannot_be_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    done(folder, &["worlds", "ground", "--out", "site", "--side", "48", "--drives", "4", "--tests", "1"]);
    let train = ["train", "--task", "costs", "--out", "run"];
    let no_data = refused(folder, &train);
    assert!(no_data.contains("costs are learned from drives") && no_data.contains("--data drives.jsonl"), "{no_data}");
    let with_data = [&train[..], &["--data", "site/drives.jsonl"]].concat();
    let setting = refused(folder, &[&with_data[..], &["--set", "rate=1"]].concat());
    assert!(setting.contains("unknown field `rate`") && setting.contains("the settings of costs are"), "{setting}");
    let resumed = refused(folder, &[&with_data[..], &["--freeze", "a"]].concat());
    assert!(resumed.contains("--freeze"), "{resumed}");
    std::fs::write(folder.join("bad.jsonl"), "{\"map\": \"site/drives-000.yaml\"}\n").expect("written");
    let bad = refused(folder, &["train", "--task", "costs", "--out", "run", "--data", "bad.jsonl"]);
    assert!(bad.contains("bad.jsonl: line 1: missing field `path`"), "{bad}");
    std::fs::write(folder.join("far.jsonl"), "{\"map\": \"site/drives-000.yaml\", \"path\": [[1, 1], [99, 1]]}\n")
        .expect("written");
    let far = refused(folder, &["train", "--task", "costs", "--out", "run", "--data", "far.jsonl"]);
    assert!(far.contains("none can be learned from") && far.contains("99,1 is outside of the map"), "{far}");
    let radius = refused(folder, &["train", "--task", "sudoku-4", "--out", "run", "--radius", "1"]);
    assert!(radius.contains("--radius is the robot's"), "{radius}");

    done(folder, &[&with_data[..], &QUICK].concat());
    let plan = ["plan", "--map", "site/tests-000.yaml", "--start", "2,2", "--goal", "7,7"];
    for (more, expected) in [
        (&["--costs", "run/model"][..], "the layer `ground` is missing"),
        (&["--costs", "run/model", "--layer", "slope=3"], "the layer `slope` is not one that the model knows"),
        (&["--costs", "run/model", "--layer", "ground=5"], "has the value 5, which the model has not seen"),
        (&["--layer", "ground=site/tests-000-ground.png"], "no model of costs reads it"),
        (&["--costs", "run/model", "--costs", "run/model", "--layer", "ground=0"], "a second model of costs"),
        (&["--costs", "site"], "site"),
    ] {
        let refused = refused(folder, &[&plan[..], more].concat());
        assert!(refused.contains(expected), "{more:?}: {refused}");
    }
}
