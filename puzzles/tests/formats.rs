//! Texts, ARC json, MovingAI maps: what is read, what comes back, what is refused.

mod common;

use common::{arc_grid, fixture, maze_example, sudoku_example};
use proptest::prelude::*;
use trm_intake::explained;
use trm_puzzles::formats::{self, Alphabet, Puzzle, Reading, arc_json, moving_ai};
use trm_puzzles::maze::{GOAL, START, shortest_path};
use trm_puzzles::{Arc, Cell, Example, Grid, PuzzleKind, Sudoku, Task, Tokens};

const LINE: &str = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79";

fn parse(text: &str) -> Vec<Puzzle> {
    formats::parse("in", text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn error(text: &str) -> String {
    match formats::parse("in", text.as_bytes()) {
        Err(error) => explained(&error),
        Ok(puzzles) => panic!("{puzzles:?}"),
    }
}

#[test]
fn a_text_read_as_mazes_is_never_taken_for_a_sudoku() {
    let read = |text: &str| formats::text::parse_as_mazes("in", text.as_bytes());
    for (text, cells) in [("....\n....\n", 8), ("##\n# \n", 4), ("o---o---o\n|       |\no---o---o\n", 15)] {
        let mazes = read(text).expect("a maze");
        assert_eq!(mazes.len(), 1, "{text}");
        assert!(matches!(mazes[0].kind, PuzzleKind::Maze(_)));
        assert_eq!(mazes[0].grid.cells().len(), cells, "{text}");
    }
    assert!(read("\n\n").expect("no maze").is_empty());
    let error = explained(&read(LINE).expect_err("a sudoku"));
    assert!(error.starts_with("in:1:1: unknown character '5'\nhint: a maze is drawn with #"), "{error}");
}

fn rows(text: &str, length: usize) -> Vec<String> {
    text.as_bytes().chunks(length).map(|row| String::from_utf8_lossy(row).into_owned()).collect()
}

#[test]
fn sudoku_in_every_dress_is_the_same_grid() {
    let expected = &parse(LINE)[0];
    assert_eq!(expected.line(&expected.grid), LINE);
    let zeros = LINE.replace('.', "0");
    let nine = rows(LINE, 9);
    let spaced: Vec<String> = nine.iter().map(|row| row.split("").collect::<Vec<_>>().join(" ")).collect();
    let barred: Vec<String> = nine.iter().map(|row| format!("|{}|{}|{}|", &row[..3], &row[3..6], &row[6..])).collect();
    let rule = "+---+---+---+\n";
    let boxed: Vec<String> = barred.chunks(3).map(|band| band.join("\n")).collect();
    let boxed = format!("{rule}{}\n{rule}", boxed.join(&format!("\n{rule}")));
    let bands: Vec<String> = nine.chunks(3).map(|band| band.join("\n")).collect();
    for text in [
        zeros.clone(),
        nine.join("\n"),
        spaced.join("\n"),
        barred.join("\n"),
        boxed,
        bands.join("\n\n"),
        format!("# a comment: #1\n{LINE}\n\n"),
        format!("\u{feff}{}\r\n", nine.join("\r\n")),
        expected.drawing(&expected.grid),
    ] {
        let puzzles = parse(&text);
        assert_eq!(puzzles.len(), 1, "{text}");
        assert_eq!(puzzles[0].grid, expected.grid, "{text}");
        assert_eq!(puzzles[0].kind, PuzzleKind::Sudoku(Sudoku::default()));
    }
    let zero = &parse(&zeros)[0];
    assert_eq!(zero.line(&zero.grid), zeros, "answers use the blank of the input");
}

#[test]
fn several_puzzles_keep_their_lines() {
    let puzzles = parse(&format!("{LINE}\n# next\n\n{LINE}\n{}\n", rows(LINE, 9).join("\n")));
    let sources: Vec<&str> = puzzles.iter().map(|puzzle| puzzle.source.as_str()).collect();
    assert_eq!(sources, ["in:1", "in:4", "in:5"]);
    assert_eq!(formats::read(&fixture("sudoku-top95.txt")).expect("readable").len(), 95);
}

#[test]
fn other_sizes_and_box_shapes() {
    let four = &parse("1..4..1.2..33..2")[0];
    assert_eq!(four.kind, PuzzleKind::Sudoku(Sudoku::new(2, 2).expect("supported")));
    let letters = format!("GP.1{}", ".".repeat(621));
    let large = &parse(&letters)[0];
    assert_eq!(large.grid.cells()[..4], [16, 25, 0, 1]);
    assert_eq!(large.line(&large.grid), letters);
    let six = "12|34|56\n".repeat(6);
    assert_eq!(parse(&six)[0].kind, PuzzleKind::Sudoku(Sudoku::new(3, 2).expect("supported")));
    assert_eq!(parse(&"123456\n".repeat(6))[0].kind, PuzzleKind::Sudoku(Sudoku::new(2, 3).expect("supported")));
    let numbers: Vec<String> = (1..=16).map(|n| n.to_string()).collect();
    let sixteen = &parse(&format!("{}\n", numbers.join(" ")).repeat(16))[0];
    assert_eq!(sixteen.grid.size(), (16, 16));
    assert_eq!(sixteen.grid.get(Cell::new(3, 15)), Some(16));
    assert_eq!(parse(&"123456789ABCDEFG\n".repeat(16)).len(), 1, "a 16x16 grid");
    assert_eq!(parse(&"1..4..1.2..33..2\n".repeat(16)).len(), 16, "sixteen 4x4 puzzles");
}

#[test]
fn mazes_keep_their_characters() {
    let text = "@@@@@\n@S..@\n@.oG@\n@@@@@\n";
    let puzzle = &parse(text)[0];
    assert_eq!(puzzle.drawing(&puzzle.grid), text);
    assert_eq!(puzzle.line(&puzzle.grid), text.replace('\n', ""));
    assert_eq!(parse("......\n.S..G.\n......\n@@@@@@\n")[0].grid.size(), (4, 6), "rows of dots are no sudoku");
    // A row of spaces belongs to the maze when it is as long as the others.
    let open = "    \nS  G\n    \n";
    assert_eq!(parse(open)[0].grid.size(), (3, 4));
    let two = parse("#S #\n#G #\n\n\n###\nS G\n###\n");
    assert_eq!(two.iter().map(|p| p.source.as_str()).collect::<Vec<_>>(), ["in:1", "in:5"]);
}

#[test]
fn micromouse_mazes_become_blocks() {
    let puzzle = &formats::read(&fixture("micromouse.txt")).expect("readable")[0];
    assert_eq!(puzzle.grid.size(), (9, 9));
    puzzle.check().expect("one goal is kept");
    assert_eq!(puzzle.grid.find(START), Some(Cell::new(7, 1)));
    assert_eq!(puzzle.grid.find(GOAL), Some(Cell::new(3, 5)), "the goal room with the shortest way");
    let answer = shortest_path(&puzzle.grid).expect("a way");
    let drawing = puzzle.drawing(&answer);
    assert!(drawing.starts_with("o---o---o---o---o\n| * * * * * "), "{drawing}");
    let plus = drawing.replace('o', "+");
    for text in [drawing, plus] {
        let again = &parse(&text)[0];
        assert_eq!(again.grid, answer);
        assert_eq!(again.drawing(&again.grid), text);
    }
}

#[test]
fn texts_that_are_no_puzzles_say_where() {
    let cases = [
        (String::new(), "in: no puzzle in the input"),
        ("\n  \n# only a comment, really\n".to_owned(), "in: no puzzle in the input"),
        (
            format!("{}x{}", &LINE[..10], &LINE[11..]),
            "in:1:11: unknown character 'x'\nhint: a 9x9 sudoku is written with 1 to 9, and 0 or . or one other character for blank",
        ),
        (LINE[..80].to_owned(), "in:1: a line of 80 cells is neither a sudoku nor a row of one"),
        (
            "1..4..1.2..53..2".to_owned(),
            "in:1:12: unknown character '5'\nhint: a 4x4 sudoku is written with 1 to 4, and 0 or . or one other character for blank",
        ),
        (
            format!("{}\n123", rows(LINE, 9)[..8].join("\n")),
            "in:9: this row has 3 cells, the grid's first row (line 1) has 9",
        ),
        (rows(LINE, 9)[..8].join("\n"), "in:8: the sudoku that begins in line 1 ends after 8 of 9 rows"),
        ("#####\n#S G#\n####\n".to_owned(), "in:3: this row has 4 cells, the grid's first row (line 1) has 5"),
        (
            "#####\n#S7G#\n#####\n".to_owned(),
            "in:2:3: unknown character '7'\nhint: a maze is drawn with # wall, space or . free, S start, G goal, o path",
        ),
        ("#####\n#Sé G#\n#####\n".to_owned(), "in:2:3: unknown character 'é'"),
        (
            "o---o---o\n| S   G |\n".to_owned(),
            "in:2: the maze that begins in line 1 has 2 lines, its last wall is missing",
        ),
        ("o---o---o\n| S x G |\no---o---o\n".to_owned(), "in:1:1: unknown character 'o'"),
        ("type octile\nheight 2\n".to_owned(), "in:1: a MovingAI map has no start and goal of its own"),
        ("{\"test\": 3}".to_owned(), "in: not the expected JSON, an ARC task"),
        (
            "{\"a\": {\"train\": [], \"test\": [{\"input\": [[1, 2], [3]]}]}}".to_owned(),
            "in: a, test input 0: not a rectangle of 1x1 to 30x30 colours 0 to 9",
        ),
    ];
    for (text, expected) in cases {
        let message = error(&text);
        assert!(message.starts_with(expected), "{text:?}\ngives    {message}\nexpected {expected}");
    }
    let binary = formats::parse("in", b"##\n\xff\xfe").expect_err("not UTF-8");
    assert!(explained(&binary).starts_with("in:2: not text: a byte that is not UTF-8\nhint: "), "{binary}");
}

#[test]
fn huge_inputs_are_refused() {
    let huge = vec![b'.'; (64 << 20) + 1];
    let message = explained(&formats::parse("in", &huge).expect_err("too long"));
    assert!(message.starts_with("in: 67108865 bytes is more than the limit of 67108864"), "{message}");
    let long = format!("#{}G\n", "S".repeat(5000));
    assert!(error(&long).starts_with("in:1: 5002 cells a side is more than the limit of 4096"), "{}", error(&long));
    assert_eq!(error(&"1".repeat(9000)), "in:1: a line of 9000 characters, a sudoku takes 8000 at most");
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("huge.txt");
    let file = std::fs::File::create(&path).expect("creatable");
    file.set_len(100 << 20).expect("sparse");
    let message = explained(&formats::read(&path).expect_err("too long"));
    assert!(message.contains("104857600 bytes is more than the limit"), "{message}");
}

#[test]
fn missing_files_are_named_once() {
    let error = formats::read(&fixture("nowhere.txt")).expect_err("missing");
    assert!(explained(&error).ends_with("nowhere.txt"), "{error}");
    assert!(std::error::Error::source(&error).is_some_and(|cause| !explained(&error).contains(&cause.to_string())));
}

#[test]
fn moving_ai_maps_with_scenarios() {
    let puzzles = formats::read(&fixture("arena.map")).expect("readable");
    assert_eq!(puzzles.len(), 40);
    let first = &puzzles[0];
    assert_eq!(first.grid.size(), (49, 49));
    // Scenario 1 goes from x 1, y 11 to x 1, y 12.
    assert_eq!((first.grid.find(START), first.grid.find(GOAL)), (Some(Cell::new(11, 1)), Some(Cell::new(12, 1))));
    assert!(first.source.ends_with("arena.map.scen:2"), "{}", first.source);
    assert_eq!(first.drawing(&first.grid).lines().next(), Some("T".repeat(49).as_str()));
    let bytes = std::fs::read(fixture("arena.map.scen")).expect("readable");
    for (puzzle, scenario) in puzzles.iter().zip(moving_ai::parse_scenarios("scen", &bytes).expect("well-formed")) {
        puzzle.check().expect("start and goal");
        let verdict = puzzle.task().verify(&puzzle.grid, &shortest_path(&puzzle.grid).expect("a way"));
        let moves = verdict.path().expect("verified").length as f64;
        // Four directions are never shorter than eight, and at most root of 2 times longer.
        assert!(moves >= scenario.octile_length - 1e-4 && moves <= scenario.octile_length * 1.4143, "{moves}");
    }
}

#[test]
fn moving_ai_text_round_trip_and_errors() {
    let text = "type octile\nheight 2\nwidth 3\nmap\n.T.\n..T\n";
    let map = moving_ai::MovingAiMap::parse("m.map", text.as_bytes()).expect("well-formed");
    assert_eq!(map.to_text(), text);
    for (text, expected) in [
        ("type octile\nheight 2\nwidth 3\nmap\n.T.\n", "m.map:5: the header says 2 rows, the map has 1"),
        ("type octile\nheight 1\nwidth 3\nmap\n.T\n", "m.map:5: this row has 2 cells, the header says width 3"),
        ("type octile\nheight 1\nwidth 3\nmap\n.x.\n", "m.map:5:2: unknown character 'x'"),
        ("type octile\nheight 99999999999\nwidth 3\nmap\n", "m.map:2: expected a number of cells from 1 to 4096"),
        ("type octile\nheight 3\n", "m.map:3: the header ends without a line `map`"),
        ("type octile\nmap\n", "m.map:1: the header lacks height or width"),
        ("type tile\n", "m.map:1: expected type octile, height, width or map, found \"type tile\""),
    ] {
        let error = explained(&moving_ai::MovingAiMap::parse("m.map", text.as_bytes()).expect_err(text));
        assert!(error.starts_with(expected), "{error}");
    }
    let scenario = moving_ai::parse_scenarios("s", b"version 1\n0\tm\t3\t2\t1\t0\t0\t0\t1\n").expect("well-formed")[0];
    let error = explained(&map.puzzle(&scenario).expect_err("in a tree"));
    assert!(error.contains("scenario line 2: its start, row 1 column 2, is no free cell"), "{error}");
    let error = explained(&moving_ai::parse_scenarios("s", b"version 1\n1 2 3\n").expect_err("short"));
    assert!(error.starts_with("s:2: expected nine fields"), "{error}");
}

#[test]
fn arc_tasks_with_solutions() {
    let puzzles = formats::read(&fixture("arc_challenges.json")).expect("readable");
    let ids: Vec<&str> = puzzles.iter().filter_map(|puzzle| puzzle.id.as_deref()).collect();
    assert_eq!(ids, ["00576224", "12997ef3", "12997ef3"]);
    let first = &puzzles[0];
    assert_eq!(first.line(&first.grid), "32/78");
    assert_eq!(first.drawing(&first.grid), "32\n78\n");
    assert_eq!(first.solution.as_ref().map(Grid::size), Some((6, 6)));
    let single = formats::read(&fixture("arc_task.json")).expect("readable");
    assert_eq!(
        (single[0].id.as_ref(), &single[0].grid, &single[0].solution),
        (Some(&"arc_task".to_owned()), &first.grid, &first.solution)
    );
}

fn reread(puzzle: &Puzzle, text: &str) -> Grid {
    let puzzles = formats::parse("again", text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(puzzles.len(), 1, "{text}");
    assert_eq!(puzzles[0].kind, puzzle.kind, "{text}");
    puzzles[0].grid.clone()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn sudokus_come_back((task, grid, solution) in sudoku_example(), zero in any::<bool>()) {
        let alphabet = Alphabet::sudoku(if zero { '0' } else { '.' });
        let puzzle = Puzzle { source: String::new(), id: None, grid, kind: PuzzleKind::Sudoku(task), alphabet, solution: None, rating: None, note: None };
        for grid in [&puzzle.grid, &solution] {
            prop_assert_eq!(&reread(&puzzle, &puzzle.drawing(grid)), grid);
            let line = puzzle.line(grid);
            prop_assert_eq!(line.chars().count(), task.seq_len());
            prop_assert_eq!(puzzle.alphabet.parse_line(task.side(), task.side(), &line), Some(grid.clone()));
            prop_assert_eq!(&formats::parse("line", line.as_bytes()).unwrap()[0].grid, grid);
        }
    }

    #[test]
    fn mazes_come_back((task, grid, label) in maze_example(), wall in prop::sample::select(vec!['#', '@']), dot in any::<bool>()) {
        let alphabet = Alphabet::maze(wall, if dot { '.' } else { ' ' });
        let puzzle = Puzzle { source: String::new(), id: None, grid, kind: PuzzleKind::Maze(task), alphabet, solution: None, rating: None, note: None };
        for grid in [&puzzle.grid, &label] {
            prop_assert_eq!(&reread(&puzzle, &puzzle.drawing(grid)), grid);
            let line = puzzle.line(grid);
            prop_assert_eq!(puzzle.alphabet.parse_line(grid.height(), grid.width(), &line), Some(grid.clone()));
        }
    }

    #[test]
    fn arc_tasks_come_back(grids in prop::collection::vec(arc_grid(), 4), many in any::<bool>()) {
        let [a, b, c, d] = <[Grid; 4]>::try_from(grids).unwrap();
        let task = |id: &str| arc_json::ArcTask {
            id: id.to_owned(),
            train: vec![Example { puzzle: a.clone(), solution: b.clone() }],
            test: vec![(c.clone(), Some(d.clone())), (d.clone(), None)],
        };
        let tasks = if many { vec![task("a"), task("b")] } else { vec![task("")] };
        let text = arc_json::to_json(&tasks).unwrap();
        prop_assert_eq!(arc_json::parse_tasks("json", text.as_bytes(), None).unwrap(), tasks);
    }

    #[test]
    fn arc_tokens_come_back(grid in arc_grid(), seed in any::<u64>()) {
        let tokens = Arc.encode(&grid).unwrap();
        prop_assert_eq!(tokens.len(), 900);
        prop_assert_eq!(&Arc.decode(&grid, &tokens).unwrap(), &grid);
        prop_assert_eq!(Arc.verify(&grid, &grid).as_str(), "unverifiable");
        let symmetry = Arc.symmetry(&mut trm_puzzles::seeded(seed));
        prop_assert_eq!(&symmetry.invert(&symmetry.apply(&grid).unwrap()).unwrap(), &grid);
    }
}

#[test]
fn arc_canvas_is_the_public_one() {
    let grid = Grid::from_rows(&[[1, 2, 3], [4, 5, 6]]).expect("equal rows");
    let tokens = Arc.encode(&grid).expect("fits");
    let rows: Vec<&[i32]> = tokens.chunks(30).map(|row| &row[..5]).take(4).collect();
    assert_eq!(rows, [&[3, 4, 5, 1, 0], &[6, 7, 8, 1, 0], &[1, 1, 1, 0, 0], &[0, 0, 0, 0, 0]]);
    let full = Arc.encode(&Grid::filled(30, 30, 9)).expect("fits");
    assert!(full.iter().all(|&token| token == 11), "no room for markers");
    let error = explained(&Arc.encode(&Grid::filled(31, 2, 0)).expect_err("too high"));
    assert_eq!(error, "an ARC grid of 31x2 does not fit the 30x30 canvas");
}

#[test]
fn a_json_file_may_hold_what_a_jsonl_file_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let rows = "[[1,0,0,4],[0,0,1,0],[2,0,0,3],[3,0,0,2]]";
    let one = format!("{{\"puzzle\":{rows}}}\n");
    let spread = format!("\u{feff}{{\n\"input\": {rows},\n\"answer\": \"1234341221434321\"\n}}");
    for (text, count) in [(one.clone(), 1), (one.repeat(3), 3), (spread, 1)] {
        let grids = ["a.json", "a.jsonl"].map(|name| {
            let path = folder.path().join(name);
            std::fs::write(&path, &text).expect("written");
            let puzzles = formats::read(&path).unwrap_or_else(|error| panic!("{text}: {error}"));
            puzzles.into_iter().map(|puzzle| (puzzle.kind, puzzle.grid, puzzle.solution)).collect::<Vec<_>>()
        });
        assert_eq!((grids[0].len(), &grids[0]), (count, &grids[1]));
    }
}

/// An error with its causes, as the program shows it.
fn whole(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {}", whole(cause)))
}

#[test]
fn messages_about_json_do_not_name_types_of_the_program() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut found = Vec::new();
    for text in [
        "[5]",
        "[[5]]",
        "5",
        "[]",
        "{}",
        "{\"test\": 3}",
        "{\"test\": [3]}",
        "{\"test\": [[3]]}",
        "{\"a\": 3}",
        "{\"a\": [[5]]}",
        "{\"a\": {\"test\": 5}}",
        "{\"test\": [{\"input\": 5}]}",
        "{\"test\": [{\"input\": [[300]]}]}",
        "{\"test\": [{\"input\": [[\"x\"]]}]}",
        "{\"puzzle\": 5}",
        "{\"puzzle\": [[-1]]}",
        "{\"puzzle\": [[1.5]]}",
        "{\"puzzle\": [[\"x\"]]}",
        "{\"puzzle\": [5]}",
        "{\"puzzle\": \"1\", \"id\": 5}",
        "{\"input\": [\"x\"]}",
        "{\"input\": 5}",
        "{\"input\": [3000000000]}",
        "{\"input\": [1.5], \"answer\": [\"x\"]}",
    ] {
        for name in ["a.json", "a.jsonl", "a.txt"] {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("written");
            let kinds = [PuzzleKind::Arc(Arc), PuzzleKind::Tokens(Tokens::new(4, 10).expect("a task"))];
            found.extend(
                kinds.iter().filter_map(|&kind| formats::read_as(&path, &Reading::of(kind)).err()).map(|e| whole(&e)),
            );
        }
    }
    let words = ["struct ", "Json", "u8", "i32", "usize", "f64", "Vec", "enum ", "tuple", "unit"];
    for message in &found {
        assert!(!words.iter().any(|word| message.contains(word)), "{message}");
    }
    assert!(found.len() > 60, "{}", found.len());
    let number = "invalid value: integer `300`, expected a whole number from 0 to 255";
    assert!(found.iter().any(|message| message.contains(number)), "{found:#?}");
}

#[test]
fn a_row_that_lost_its_wall_is_no_row_that_lost_its_spaces() {
    // The border on the right is closed elsewhere, and the ends are marked.
    assert!(error("#####\n#S G\n#   #\n#####\n").starts_with("in:2: this row has 4 cells"));
    // Without marks, the gap in the border is an end.
    let open = &parse("#####\n#   #\n#\n### #\n")[0];
    assert_eq!(open.grid.size(), (4, 5));
    assert_eq!((open.grid.get(Cell::new(2, 4)), open.grid.get(Cell::new(3, 3))), (Some(START), Some(GOAL)));
    // A map is taken as it is drawn.
    let mazes = formats::text::parse_as_mazes("in", b"#####\n#   #\n#    \n### #\n").expect("a map");
    assert_eq!((mazes[0].grid.find(START), mazes[0].grid.find(GOAL)), (None, None));
}

#[test]
fn a_title_right_below_its_grid_is_that_grids_name() {
    let ids = |text: &str| parse(text).into_iter().map(|puzzle| puzzle.id.unwrap_or_default()).collect::<Vec<_>>();
    let grid = rows(LINE, 9).join("\n");
    assert_eq!(ids(&format!("{grid}\nthe first\n\n{grid}\nthe second\n")), ["the first", "the second"]);
    assert_eq!(ids(&format!("the first\n{grid}\nthe second\n{grid}\n")), ["the first", "the second"]);
    assert_eq!(ids(&format!("the first\n{grid}\n\nthe second\n{grid}\n")), ["the first", "the second"]);
}

#[test]
fn a_header_says_the_boxes_and_is_no_name() {
    let six = "......46......13...........13.2....5";
    for (header, boxes) in [("2\n3\n", (2, 3)), ("3\n2\n", (3, 2)), ("# boxes 3x2\n", (3, 2)), ("6 3 2\n", (3, 2))] {
        let puzzle = &parse(&format!("{header}{}\n", rows(six, 6).join("\n")))[0];
        let expected = PuzzleKind::Sudoku(Sudoku::new(boxes.0, boxes.1).expect("supported"));
        assert_eq!((puzzle.kind, &puzzle.id), (expected, &None), "{header}");
        assert_eq!(puzzle.note, None, "{header}");
    }
}

#[test]
fn long_lists_of_what_looks_like_headers_take_no_time() {
    let started = std::time::Instant::now();
    for line in
        ["7 7\n", "9\n", "line[1] = 5\n", "12\n", "1 1 1\n", "Maze one\n", "a\n", "| |\n", "#\n\n", "1 0\n\n", "[1],\n"]
    {
        let _ = formats::parse("long", line.repeat(20_000).as_bytes());
    }
    for text in ["[[", "{\"a\":", "[{\"row\":1},", "{\"quizzes\":["] {
        let _ = formats::parse("deep", text.repeat(20_000).as_bytes());
    }
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}

/// Empty boards that a line of something else makes doubtful go; those that stand alone stay.
#[test]
fn only_doubtful_boards_are_set_aside() {
    let alone = ".".repeat(81);
    let rows = "....\n".repeat(4);
    let text = format!("{alone}\n\n{rows}\n1x2\n");
    let reading = Reading { keep_going: true, ..Reading::default() };
    let found = formats::parse_all("t", text.as_bytes(), &reading).expect("goes on");
    let sources = found.puzzles.iter().map(|puzzle| puzzle.source.as_str()).collect::<Vec<_>>();
    assert_eq!((sources, found.failures.len()), (vec!["t:1"], 1));
    let text = format!("{alone}\n\n{rows}");
    assert_eq!(formats::parse_all("t", text.as_bytes(), &reading).expect("both").puzzles.len(), 2);
}
