//! Which images and layers go when room is wanted. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::digest::Digest;
use crate::reference::Reference;

/// An image of the store, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) reference: Reference,
    /// Seconds and nanoseconds since 1970.
    pub(super) used_at: (i64, i64),
    pub(super) layers: Vec<Digest>,
}

/// What there is, and what must stay.
pub(super) struct Stock<'a> {
    pub(super) images: Vec<Held>,
    /// All layers with their sizes in bytes.
    pub(super) layers: &'a BTreeMap<Digest, u64>,
    /// Layers of running containers and of pulls.
    pub(super) in_use: &'a BTreeSet<Digest>,
    /// Images that operators want to be there.
    pub(super) protected: &'a [Reference],
}

/// What goes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) images: Vec<Reference>,
    pub(super) layers: Vec<Digest>,
    /// What the layers took.
    pub(super) bytes: u64,
}

/// Chooses what goes so that `wanted` bytes come free, or everything that may go if that is `None`. Layers of no image go
/// first; then whole images, the one not used for longest first. A layer that something else still has stays, and an image
/// whose layers are all in use stays with them.
pub(super) fn plan(stock: &Stock<'_>, wanted: Option<u64>) -> Plan {
    let mut plan = Plan::default();
    let mut users: BTreeMap<Digest, usize> = stock.layers.keys().map(|layer| (*layer, 0)).collect();
    for layer in stock.images.iter().flat_map(Held::distinct) {
        *users.entry(layer).or_default() += 1;
    }
    let unused: Vec<_> = users.iter().filter(|(_, users)| **users == 0).map(|(l, _)| *l).collect();
    for layer in unused {
        plan.take(stock, layer);
    }
    let mut candidates: Vec<_> = stock.images.iter().filter(|image| stock.may_go(image)).collect();
    candidates.sort_by_key(|image| (image.used_at, &image.reference));
    for image in candidates {
        if wanted.is_some_and(|wanted| plan.bytes >= wanted) {
            break;
        }
        plan.images.push(image.reference.clone());
        for layer in image.distinct() {
            let left = users.get_mut(&layer).map_or(0, |users| {
                *users = users.saturating_sub(1);
                *users
            });
            if left == 0 {
                plan.take(stock, layer);
            }
        }
    }
    plan
}

impl Held {
    /// An image may have a layer twice.
    fn distinct(&self) -> BTreeSet<Digest> {
        self.layers.iter().copied().collect()
    }
}

impl Stock<'_> {
    fn may_go(&self, image: &Held) -> bool {
        let is_used =
            !image.layers.is_empty() && image.layers.iter().all(|l| self.in_use.contains(l));
        !is_used && !self.protected.contains(&image.reference)
    }
}

impl Plan {
    fn take(&mut self, stock: &Stock<'_>, layer: Digest) {
        if let Some(bytes) = stock.layers.get(&layer).filter(|_| !stock.in_use.contains(&layer)) {
            self.layers.push(layer);
            self.bytes += bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(name: &str) -> Digest {
        Digest::of(name.as_bytes())
    }

    fn image(name: &str, used_at: i64, layers: &[&str]) -> Held {
        let reference = Reference::parse(name, "docker.io").unwrap();
        let layers = layers.iter().map(|name| layer(name)).collect();
        Held { reference, used_at: (used_at, 0), layers }
    }

    /// Three images: two share a base. All layers have ten bytes; `orphan` is nobody's.
    struct Case {
        in_use: BTreeSet<Digest>,
        protected: Vec<Reference>,
    }

    impl Case {
        fn new() -> Self {
            Self { in_use: BTreeSet::new(), protected: Vec::new() }
        }

        fn goes(&self, wanted: Option<u64>) -> (Vec<String>, Vec<Digest>) {
            let names = ["base", "old", "new", "other", "orphan"];
            let layers = names.iter().map(|name| (layer(name), 10)).collect();
            let images = vec![
                image("new", 3, &["base", "new"]),
                image("old", 1, &["base", "old", "base"]),
                image("other", 2, &["other"]),
            ];
            let (in_use, protected) = (&self.in_use, self.protected.as_slice());
            let plan = plan(&Stock { images, layers: &layers, in_use, protected }, wanted);
            assert_eq!(plan.bytes, 10 * plan.layers.len() as u64);
            let images = plan.images.iter().map(ToString::to_string);
            (images.map(|name| name.replace("docker.io/library/", "")).collect(), plan.layers)
        }
    }

    #[test]
    fn img_08_the_image_not_used_for_longest_goes_first_and_no_more_than_needed() {
        let case = Case::new();
        assert_eq!(case.goes(Some(0)), (vec![], vec![layer("orphan")]));
        assert_eq!(case.goes(Some(15)).0, ["old:latest"]);
        assert_eq!(case.goes(Some(25)).0, ["old:latest", "other:latest"]);
        let all = case.goes(None);
        assert_eq!((all.0.len(), all.1.len()), (3, 5));
    }

    #[test]
    fn a_layer_that_another_image_has_stays() {
        let (_, layers) = Case::new().goes(Some(11));
        assert_eq!(layers, [layer("orphan"), layer("old")]);
    }

    #[test]
    fn img_08_what_is_in_use_or_protected_stays() {
        let mut case = Case::new();
        case.in_use = [layer("base"), layer("old"), layer("orphan")].into();
        case.protected = vec![image("other", 0, &[]).reference];
        assert_eq!(case.goes(None), (vec!["new:latest".into()], vec![layer("new")]));
    }
}
