//! Resources for people: `cpus(eng/web):2`. What `parse` reads it shows so that it is read as the same; other terms are in
//! words, and are written as JSON.

use std::fmt;

use super::{Disk, DiskKind, Label, Reservation, ReservationMade, Resource, Resources, Terms};

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(terms) = self.kind.terms() {
            show_terms(f, terms)?;
        }
        write!(f, ":{}", self.value)
    }
}

fn show_terms(f: &mut fmt::Formatter<'_>, terms: &Terms) -> fmt::Result {
    for (n, reservation) in terms.reservations.iter().enumerate() {
        f.write_str(if n == 0 { "(" } else { ", " })?;
        show_reservation(f, reservation)?;
    }
    if !terms.reservations.is_empty() {
        f.write_str(")")?;
    }
    if let Some(disk) = &terms.disk {
        show_disk(f, disk)?;
    }
    if terms.revocable {
        f.write_str(" revocable")?;
    }
    if terms.shared {
        f.write_str(" shared")?;
    }
    match &terms.allocated_to {
        Some(role) => write!(f, " allocated to {role}"),
        None => Ok(()),
    }
}

fn show_reservation(f: &mut fmt::Formatter<'_>, reservation: &Reservation) -> fmt::Result {
    write!(f, "{}", reservation.role)?;
    match reservation.made {
        ReservationMade::Static => (),
        ReservationMade::Dynamic => f.write_str(" dynamic")?,
    }
    if let Some(principal) = &reservation.principal {
        write!(f, " by {principal}")?;
    }
    show_labels(f, &reservation.labels)
}

fn show_labels(f: &mut fmt::Formatter<'_>, labels: &[Label]) -> fmt::Result {
    for (key, value) in labels {
        match value {
            Some(value) => write!(f, " {key}={value}")?,
            None => write!(f, " {key}")?,
        }
    }
    Ok(())
}

fn show_disk(f: &mut fmt::Formatter<'_>, disk: &Disk) -> fmt::Result {
    if let Some(source) = &disk.source {
        f.write_str(match source.kind {
            DiskKind::Path => " on path",
            DiskKind::Mount => " on mount",
            DiskKind::Block => " on block device",
            DiskKind::Raw => " on raw storage",
        })?;
        for text in
            [&source.root, &source.id, &source.vendor, &source.profile].into_iter().flatten()
        {
            write!(f, " {text}")?;
        }
        show_labels(f, &source.metadata)?;
    }
    match &disk.volume {
        Some(volume) => {
            let only = if volume.read_only { ", read-only" } else { "" };
            write!(f, " volume {} at {}{only}", volume.id, volume.container_path)
        }
        None => Ok(()),
    }
}

impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing");
        }
        for (n, resource) in self.iter().enumerate() {
            let comma = if n == 0 { "" } else { ";" };
            write!(f, "{comma}{resource}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
