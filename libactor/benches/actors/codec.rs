//! The codec beside bare bincode 1.3.3: an offer of 15 resources.

use std::time::Instant;

use bincode::Options;
use libactor::{Message, wire};
use serde::{Deserialize, Serialize};

use crate::table::{Side, Table};

#[derive(Clone, Serialize, Deserialize)]
struct Offer {
    id: String,
    framework: String,
    agent: String,
    hostname: String,
    attributes: Vec<(String, String)>,
    resources: Vec<Resource>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Resource {
    name: String,
    role: Option<String>,
    reservations: Vec<(String, String)>,
    value: Value,
}

#[derive(Clone, Serialize, Deserialize)]
enum Value {
    Scalar(i64),
    Ranges(Vec<(u64, u64)>),
    Set(Vec<String>),
}

impl Message for Offer {
    const NAME: &'static str = "bench.Offer";
}

fn offer() -> Offer {
    let text = |what: &str, at: usize| format!("{what}-{at:04}-0123456789abcdef");
    let resource = |at: usize| Resource {
        name: text("resource", at),
        role: Some("analytics/batch".to_owned()),
        reservations: vec![("analytics/batch".to_owned(), text("principal", at))],
        value: match at % 3 {
            0 => Value::Scalar(1000),
            1 => Value::Ranges(vec![(31_000, 31_999), (33_000, 33_999)]),
            _ => Value::Set(vec![text("disk", at), text("disk", at + 1)]),
        },
    };
    Offer {
        id: text("offer", 1),
        framework: text("framework", 1),
        agent: text("agent", 1),
        hostname: "agent-1.example".to_owned(),
        attributes: (0..5).map(|at| (text("key", at), text("value", at))).collect(),
        resources: (0..15).map(resource).collect(),
    }
}

pub fn run(table: &mut Table) {
    const EACH: u32 = 2000;
    let offer = offer();
    let options = || bincode::DefaultOptions::new().with_fixint_encoding();
    let bytes = options().serialize(&offer).unwrap();
    let (mut ours, mut bare) = (Vec::with_capacity(8192), Vec::with_capacity(8192));
    let mut sides = [Side::new(), Side::new(), Side::new(), Side::new()];
    let measure = |side: &mut Side, case: &mut dyn FnMut()| {
        let begun = Instant::now();
        for _ in 0..EACH {
            case();
        }
        side.add(begun.elapsed().as_nanos() as f64 / f64::from(EACH));
    };
    for _ in 0..41 {
        measure(&mut sides[0], &mut || {
            ours.clear();
            wire::encode_frames(&mut ours, Offer::LANE, &offer, 1 << 20).unwrap();
            std::hint::black_box(&ours);
        });
        measure(&mut sides[1], &mut || {
            bare.clear();
            options().serialize_into(&mut bare, &offer).unwrap();
            std::hint::black_box(&bare);
        });
        measure(&mut sides[2], &mut || {
            std::hint::black_box(wire::decode::<Offer>(&bytes).unwrap());
        });
        measure(&mut sides[3], &mut || {
            let read =
                options().with_limit(1 << 20).reject_trailing_bytes().deserialize::<Offer>(&bytes);
            std::hint::black_box(read.unwrap());
        });
    }
    table.time("codec_encode", "ns", &sides[0], "bincode 1.3.3", &sides[1]);
    table.time("codec_decode", "ns", &sides[2], "bincode 1.3.3", &sides[3]);
}
