//! Puzzles generated a second on one core: `cargo run --release -p trm-puzzles --example generate_throughput`.
#![expect(clippy::print_stdout, reason = "for developers, who see a panic where they close the pipe")]

use std::time::{Duration, Instant};

use trm_puzzles::{Generate, Grade, Layout, Maze, MazeGenerator, Sudoku, SudokuGenerator, seeded};

/// Time spent on each kind.
const BUDGET: Duration = Duration::from_secs(2);

fn report(name: &str, generator: &dyn Generate) -> trm_puzzles::Result<()> {
    let mut rng = seeded(1);
    let start = Instant::now();
    let mut count = 0_u32;
    while start.elapsed() < BUDGET {
        generator.generate(&mut rng)?;
        count += 1;
    }
    let rate = f64::from(count) / start.elapsed().as_secs_f64();
    println!("{name:<44} {rate:>10.1} a second");
    Ok(())
}

fn main() -> trm_puzzles::Result<()> {
    let nine = Sudoku::default();
    report("sudoku 9x9 easy (singles, 28-46 givens)", &SudokuGenerator::easy(nine)?)?;
    report("sudoku 9x9 hard (not singles, 22-30 givens)", &SudokuGenerator::hard(nine)?)?;
    for grade in [Grade::Singles, Grade::Harder, Grade::Search] {
        let generator = SudokuGenerator::new(nine, grade..=grade, 22..=36)?;
        report(&format!("sudoku 9x9 {} (22-36 givens)", grade.as_str()), &generator)?;
    }
    for (box_height, box_width) in [(2, 2), (2, 3), (3, 4), (4, 4), (5, 5)] {
        let task = Sudoku::new(box_height, box_width)?;
        let side = task.side();
        report(&format!("sudoku {side}x{side} easy"), &SudokuGenerator::easy(task)?)?;
    }
    for (box_height, box_width) in [(2, 3), (3, 4), (4, 4)] {
        let task = Sudoku::new(box_height, box_width)?;
        let side = task.side();
        report(&format!("sudoku {side}x{side} hard"), &SudokuGenerator::hard(task)?)?;
    }
    for side in [9, 30] {
        let task = Maze::new(side, side)?;
        for layout in Layout::ALL {
            let generator = MazeGenerator::new(task).layouts(&[layout]);
            report(&format!("maze {side}x{side} {layout:?}"), &generator)?;
        }
    }
    Ok(())
}
