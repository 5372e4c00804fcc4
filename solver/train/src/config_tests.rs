use trm_intake::explained;

use super::*;
use crate::config_sections::{GradeConfig, OptimizerKind};

fn error(text: &str) -> String {
    explained(&TrainConfig::from_toml("run.toml", text).expect_err("accepted"))
}

#[test]
fn name_and_task_are_enough() {
    let config = TrainConfig::from_toml("run.toml", "name = \"a\"\ntask = \"sudoku-9\"").expect("valid");
    let model = config.trm_config().expect("a model");
    assert_eq!((model.seq_len, model.vocab_size, model.total_len()), (81, 11, 82));
    assert_eq!(config.optimizer.kind, OptimizerKind::AdamAtan2);
    assert!(config.data[0].generate);
}

#[test]
fn the_record_of_a_run_reads_back_and_explains_every_setting() {
    for task in ["sudoku-4", "sudoku-2x3", "sudoku-9", "maze-9", "maze-11x15"] {
        let mut config = TrainConfig::preset(task).expect("a preset");
        config.data[0].givens = Some([3, 9]);
        config.data.push(DataConfig { jsonl: Some("a.jsonl".into()), from: 10, ..DataConfig::default() });
        config.evaluation.dataset = Some("held".into());
        config.evaluation.jsonl = Some("held.jsonl".into());
        let text = config.to_toml().expect("writable");
        assert_eq!(TrainConfig::from_toml("again", &text).expect("valid"), config, "{text}");
        for line in text.lines().filter(|line| line.contains(" = ")) {
            assert!(line.contains("  # "), "no comment: {line}");
        }
    }
}

#[test]
fn settings_change_by_name() {
    let mut config = TrainConfig::preset("sudoku-9").expect("a preset");
    config.set("optimizer.lr", "2e-3").expect("a number");
    config.set("optimizer.weight_decay", "1").expect("an integer is a number");
    config.set("optimizer.kind", "adamw").expect("a plain word");
    config.set("batch.visits", "[[0, 2], [10, 8]]").expect("a list");
    config.set("data.0.grade", "any").expect("a source by number");
    config.set("name", "mine").expect("at the top");
    config.set("model.mlp_t", "false").expect("the reference's flag");
    assert_eq!(config.model.mixer, trm_models::Mixer::Attention);
    config.set("model.mixer", "mlp_t").expect("a mixer by its name");
    assert_eq!(config.model.mixer, trm_models::Mixer::MlpT);
    assert!((config.optimizer.lr - 2e-3).abs() < 1e-12);
    assert_eq!((config.optimizer.kind, config.data[0].grade), (OptimizerKind::AdamW, GradeConfig::Any));
    assert_eq!((config.batch.visits.len(), config.name.as_str()), (2, "mine"));

    let before = config.clone();
    for (key, value, expected) in [
        ("optimizer.lr", "fast", "--set optimizer.lr=fast: "),
        ("optimizer.rate", "1", "unknown field `rate`"),
        ("optimiser.lr", "1", "no settings `optimiser`\nhint: the run's config.toml lists all settings"),
        ("data.7.weight", "1", "no settings `7`"),
        ("batch.size", "0", "batch.size is 0, expected 1 to 65536"),
    ] {
        let message = explained(&config.set(key, value).expect_err(key));
        assert!(message.contains(expected), "{message}");
        assert_eq!(config, before, "a refused setting changes nothing");
    }
}

#[test]
fn bad_settings_say_which_and_what_was_expected() {
    let with = |rest: &str| error(&format!("name = \"a\"\ntask = \"sudoku-9\"\n{rest}"));
    for (text, expected) in [
        (error("task = \"sudoku-9\""), "missing field `name`"),
        (
            error("name = \"a\"\ntask = \"sudoku-7\""),
            "task is `sudoku-7`, expected a puzzle with its size\nhint: sudoku-9",
        ),
        (
            error("name = \"a/b\"\ntask = \"sudoku-9\""),
            "run.toml: name is \"a/b\", expected up to 100 letters of ASCII",
        ),
        (with("[optimizer]\nlr = nan"), "optimizer.lr is NaN, expected 0.000000000001 to 10"),
        (with("[optimizer]\nbeta2 = 1.0"), "optimizer.beta2 is 1, expected 0 to 0.999999"),
        (with("[optimizer]\nlearning = 1"), "unknown field `learning`"),
        (with("[batch]\nvisits = [[5, 4]]"), "batch.visits is [[5, 4]], expected pairs"),
        (with("[batch]\nvisits = [[0, 0]]"), "batch.visits is [[0, 0]], expected pairs"),
        (with("[[data]]\ngrade = \"easy\""), "data.0: expected exactly one of generate = true"),
        (with("[[data]]\ngenerate = true\nfrom = 5"), "no [[data]] has from = 0"),
        (with("[[data]]\ngenerate = true\nweight = 0.0"), "data.0: weight is 0, expected more than 0"),
        (with("[[data]]\ngenerate = true\nuntil = 5\nfrom = 5"), "data.0: until is 5, expected 0 or more than from, 5"),
        (with("[model]\nmlp_t = false\nnum_heads = 7"), "hidden_size 128 is not a multiple of num_heads 7"),
        (error("name = \"a\"\ntask = \"arc\""), "data.0: nothing generates arc tasks"),
    ] {
        assert!(text.contains(expected), "{text}\nexpected {expected}");
        assert!(text.starts_with("run.toml: ") || text.starts_with(SETTINGS), "{text}");
    }
}

#[test]
fn sizes_are_of_one_model_and_begin_at_once() {
    const MAZES: &str = "name = \"a\"\ntask = \"maze-9\"\n[model]\nmixer = \"grid\"\npuzzle_emb_ndim = 0\n";
    let sizes =
        "[[sizes]]\nfrom = 0\ntasks = [\"maze-9\", \"maze-5x7\"]\n[[sizes]]\nfrom = 10\ntasks = [\"maze-30\"]\n";
    let config = TrainConfig::from_toml("run.toml", &format!("{MAZES}{sizes}")).expect("valid");
    assert_eq!(config.tasks(), ["maze-9", "maze-5x7", "maze-30"]);
    assert_eq!([0, 1, 2].map(|group| config.task_of_group(group, 9)), ["maze-9", "maze-5x7", "maze-9"]);
    assert_eq!([0, 1].map(|group| config.task_of_group(group, 10)), ["maze-30", "maze-30"]);
    assert_eq!(TrainConfig::from_toml("again", &config.to_toml().expect("writable")).expect("valid"), config);
    for (text, expected) in [
        ("[[sizes]]\nfrom = 3\ntasks = [\"maze-9\"]", "[[sizes]] begin at the steps [3]\nhint: the first at 0"),
        ("[[sizes]]\nfrom = 0\ntasks = []", "[[sizes]] without tasks\nhint: tasks = [\"maze-9\", \"maze-13\"]"),
        ("[[sizes]]\nfrom = 0\ntasks = [\"maze\"]", "task is `maze`, expected a puzzle with its size"),
        (
            "[[sizes]]\nfrom = 0\ntasks = [\"sudoku-9\"]",
            "a model of maze-9 has not the weights of one of sudoku-9\nhint: model.mixer = \"grid\" for mazes",
        ),
        (
            "[[sizes]]\nfrom = 0\ntasks = [\"maze-9\", \"maze-13\"]\n[[data]]\ntask = \"maze-9\"\ngenerate = true",
            "no [[data]] is for maze-13\nhint: leave its `task` out",
        ),
        ("[evaluation]\ntasks = [\"maze-0\"]", "task is `maze-0`"),
        ("[[data]]\ngenerate = true\nrating = [3, 9]", "data.0: rating is for sudokus"),
    ] {
        let message = error(&format!("{MAZES}{text}\n"));
        assert!(message.contains(expected), "{message}\nexpected {expected}");
    }
    let message = error("name = \"a\"\ntask = \"sudoku-9\"\n[wave]\nspeed = 6");
    assert!(message.contains("wave.speed is 6, expected 0: only mazes have a wave"), "{message}");
    let message = error("name = \"a\"\ntask = \"maze-9\"\n[[sizes]]\nfrom = 0\ntasks = [\"maze-9\", \"maze-11\"]");
    assert!(message.contains("a model of maze-9 has not the weights of one of maze-11"), "{message}");
    let message = error(
        "name = \"a\"\ntask = \"tokens-9x4\"\n[model]\nmixer = \"grid\"\npuzzle_emb_ndim = 0\n[[data]]\njsonl = \"a\"",
    );
    assert!(message.contains("grid") && message.contains("board"), "{message}");
}

#[test]
fn a_run_that_no_machine_has_room_for_is_refused_before_anything_is_made() {
    const BEGINNING: &str = "name = \"a\"\ntask = \"sudoku-9\"\n";
    for (settings, expected) in [
        (
            "[model]\nhidden_size = 65536",
            "[model]: more than the limit of 1073741824 parameters\nhint: lower hidden_size",
        ),
        (
            "[model]\nnum_puzzle_identifiers = 134217728",
            "[model]: more than the limit of 1073741824 parameters\nhint: ",
        ),
        (
            "[batch]\nsize = 65536\ngroups = 4096",
            "batch.size 65536 with batch.groups 4096 and states of 82 positions of 128 makes more than the limit of \
             2147483648 numbers\nhint: lower batch.size",
        ),
        ("[evaluation]\npuzzles = 1000000000000", "evaluation.puzzles is 1000000000000, expected 1 to 1000000"),
        ("[runtime]\nthreads = 9223372036854775807", "runtime.threads is 9223372036854775807, expected 0 to 1024"),
        ("[runtime]\ngenerator_threads = 100000", "runtime.generator_threads is 100000, expected 1 to 256"),
        ("[[data]]\ngenerate = true\nsides = [3, 1000000000]", "expected a rising range from 3 to 4096"),
    ] {
        let message = error(&format!("{BEGINNING}{settings}\n"));
        assert!(message.starts_with("run.toml: ") && message.contains(expected), "{settings}\n{message}");
    }
    let long = error(&format!("{BEGINNING}{} = 1\n", "n".repeat(1 << 20)));
    assert_eq!(long, "run.toml: 1048580 bytes of one text are more than the limit of 4096");
}
