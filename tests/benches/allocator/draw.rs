//! Lines over an axis, as SVG.

use std::error::Error;
use std::path::Path;

use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;

const SIZE: (u32, u32) = (860, 420);

/// Told apart by people who see red and green alike, too.
const COLOURS: [RGBColor; 4] =
    [RGBColor(0, 114, 178), RGBColor(213, 94, 0), RGBColor(0, 158, 115), RGBColor(120, 94, 240)];

/// One line.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// What is drawn.
pub(crate) struct Picture {
    pub(crate) title: String,
    /// What the axes show.
    pub(crate) across: &'static str,
    pub(crate) up: &'static str,
    pub(crate) lines: Vec<Line>,
}

/// Over both axes in steps of powers of ten.
pub(crate) fn logarithmic(picture: &Picture, to: &Path) -> Result<(), Box<dyn Error>> {
    let tens = |of: fn(&(f64, f64)) -> f64| {
        let all = || points(picture).map(of);
        let least = all().fold(f64::INFINITY, f64::min);
        let most = all().fold(f64::MIN_POSITIVE, f64::max);
        10_f64.powf(least.log10().floor())..10_f64.powf(most.log10().ceil())
    };
    let (across, up) = (tens(|point| point.0), tens(|point| point.1));
    drawn(picture, to, across.log_scale(), up.log_scale())
}

/// Of shares, between nothing and all.
pub(crate) fn of_shares(picture: &Picture, to: &Path) -> Result<(), Box<dyn Error>> {
    let end = points(picture).map(|point| point.0).fold(1.0, f64::max);
    drawn(picture, to, 0.0..end, 0.0..1.0)
}

fn points(picture: &Picture) -> impl Iterator<Item = &(f64, f64)> {
    picture.lines.iter().flat_map(|line| &line.points)
}

/// Without the digits that only binary fractions have.
fn number(value: &f64) -> String {
    ((value * 1e6).round() / 1e6).to_string()
}

fn drawn<X, Y>(
    picture: &Picture,
    to: &Path,
    across: impl AsRangedCoord<CoordDescType = X, Value = f64>,
    up: impl AsRangedCoord<CoordDescType = Y, Value = f64>,
) -> Result<(), Box<dyn Error>>
where
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let canvas = SVGBackend::new(to, SIZE).into_drawing_area();
    canvas.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&canvas)
        .caption(&picture.title, ("sans-serif", 18))
        .margin(12)
        .margin_right(40)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(across, up)?;
    chart
        .configure_mesh()
        .x_desc(picture.across)
        .y_desc(picture.up)
        .x_label_formatter(&number)
        .y_label_formatter(&number)
        .max_light_lines(2)
        .draw()?;
    for (line, colour) in picture.lines.iter().zip(COLOURS.iter().cycle()) {
        let style = colour.stroke_width(2);
        let path = PathElement::new(line.points.clone(), style);
        let key = move |(x, y)| PathElement::new(vec![(x, y), (x + 20, y)], style);
        chart.draw_series([path])?.label(&line.name).legend(key);
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK)
        .draw()?;
    canvas.present()?;
    Ok(())
}
