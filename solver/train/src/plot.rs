//! Learning curves as SVG and PNG, drawn from the log.

use std::io::Write;
use std::path::Path;

use trm_intake::file::write_atomically;
use trm_pictures::chart::{BLUE, Chart, Curve, GREEN, GREY, INK, Panel, RED};
use trm_pictures::write_png;

use super::log::Record;
use crate::Result;

/// Writes `curves.svg` and `curves.png` of a run's records.
///
/// # Errors
///
/// [`TrainError::File`](crate::TrainError::File) or [`TrainError::Picture`](crate::TrainError::Picture) if a file
/// cannot be written.
pub fn write(records: &[Record], svg: &Path, png: &Path) -> Result<()> {
    let chart = chart(records);
    write_atomically(svg, |file| file.write_all(chart.to_svg().as_bytes()))?;
    Ok(write_png(png, &chart.to_image())?)
}

fn chart(records: &[Record]) -> Chart {
    let curve = |name, colour, value: &dyn Fn(&Record) -> Option<f64>| Curve {
        name,
        colour,
        points: records
            .iter()
            .filter_map(|record| Some((record.step() as f64, value(record).filter(|value| value.is_finite())?)))
            .collect(),
    };
    let train = |field: fn(&super::log::TrainRecord) -> Option<f64>| {
        move |record: &Record| match record {
            Record::Train(record) => field(record),
            Record::Eval(_) => None,
        }
    };
    let eval = |field: fn(&super::log::EvalRecord) -> Option<f64>| {
        move |record: &Record| match record {
            Record::Eval(record) => field(record),
            Record::Train(_) => None,
        }
    };
    let panels = [
        Panel {
            title: "LOSS",
            top: 50.0,
            bottom: 310.0,
            curves: vec![
                curve("ALL", INK, &train(|record| Some(record.loss))),
                curve("CELLS", BLUE, &train(|record| Some(record.lm_loss))),
                curve("HALTING", GREY, &train(|record| Some(record.q_loss))),
            ],
            percent: false,
            low: 0.0,
        },
        Panel {
            title: "ACCURACY",
            top: 380.0,
            bottom: 650.0,
            curves: vec![
                curve("TRAINING EXACT", GREY, &train(|record| record.exact)),
                curve("HELD-OUT CELLS", BLUE, &eval(|record| Some(record.cell))),
                curve("HELD-OUT VALID", GREEN, &eval(|record| record.valid)),
                curve("HELD-OUT EXACT", RED, &eval(|record| Some(record.exact))),
            ],
            percent: true,
            low: 0.0,
        },
    ];
    let last = records.iter().map(Record::step).max().unwrap_or(0).max(1) as f64;
    Chart::new(&panels, "OPTIMIZER STEP", last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{EvalRecord, TrainRecord};

    fn records() -> Vec<Record> {
        let train = (1..=100).map(|step| {
            let loss = 2.0 / f64::from(step);
            let share = f64::from(step) / 100.0;
            let record = TrainRecord {
                step: step as u64 * 20,
                loss,
                lm_loss: loss / 2.0,
                exact: Some(share),
                ..Default::default()
            };
            Record::Train(record)
        });
        let eval = (1..=4).map(|part| {
            let share = f64::from(part) / 5.0;
            Record::Eval(EvalRecord { step: part as u64 * 500, exact: share, cell: 0.9, n: 100, ..Default::default() })
        });
        train.chain(eval).collect()
    }

    #[test]
    fn both_pictures_show_the_same_curves() {
        let dir = tempfile::tempdir().expect("a folder");
        let (svg, png) = (dir.path().join("curves.svg"), dir.path().join("curves.png"));
        write(&records(), &svg, &png).expect("written");
        let text = std::fs::read_to_string(&svg).expect("readable");
        for label in ["LOSS", "ACCURACY", "OPTIMIZER STEP", "HELD-OUT EXACT", "TRAINING EXACT", "80%", ">2000<"] {
            assert!(text.contains(label), "{label} is missing");
        }
        assert!(!text.contains("HELD-OUT VALID"), "a curve without points has no name");
        assert_eq!(text.matches("<svg").count(), text.matches("</svg>").count());
        // The last evaluation, 80 % at step 2000, is at the right edge, four fifths up the lower panel.
        assert!(text.contains("930.0,434.0\" fill=\"none\" stroke=\"#e03131\""), "{text}");
        let image = image::open(&png).expect("a picture").to_rgb8();
        assert_eq!(image.dimensions(), (960, 720));
        assert_eq!(image.get_pixel(929, 434).0, RED);
        assert_eq!(image.get_pixel(5, 5).0, [255; 3]);
    }

    #[test]
    fn a_run_without_records_and_one_that_diverged_are_drawn() {
        let mut diverged = records();
        diverged.push(Record::Train(TrainRecord { step: 2_020, loss: f64::NAN, ..TrainRecord::default() }));
        for records in [Vec::new(), diverged] {
            let text = chart(&records).to_svg();
            assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        }
    }
}
