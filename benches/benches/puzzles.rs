//! Generators and verifiers, which training and evaluation call by the million.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use trm_puzzles::{Generate, Maze, MazeGenerator, Sudoku, SudokuGenerator, seeded};

/// Puzzles verified in turn, so that no single one decides.
const SAMPLE: usize = 64;

fn bench(c: &mut Criterion, name: &str, generator: &dyn Generate) {
    let mut rng = seeded(1);
    c.bench_function(&format!("generate {name}"), |b| b.iter(|| generator.generate(&mut rng).unwrap()));

    let mut rng = seeded(2);
    let examples: Vec<_> = (0..SAMPLE).map(|_| generator.generate(&mut rng).unwrap()).collect();
    let mut turns = examples.iter().cycle();
    c.bench_function(&format!("verify {name}"), |b| {
        b.iter(|| {
            let example = turns.next().unwrap();
            generator.task().verify(black_box(&example.puzzle), black_box(&example.solution))
        });
    });
}

fn puzzles(c: &mut Criterion) {
    let sudoku = Sudoku::new(3, 3).unwrap();
    bench(c, "sudoku 9x9 easy", &SudokuGenerator::easy(sudoku).unwrap());
    bench(c, "sudoku 9x9 hard", &SudokuGenerator::hard(sudoku).unwrap());
    bench(c, "maze 9x9", &MazeGenerator::new(Maze::new(9, 9).unwrap()));
    bench(c, "maze 30x30", &MazeGenerator::new(Maze::new(30, 30).unwrap()));
}

criterion_group!(benches, puzzles);
criterion_main!(benches);
