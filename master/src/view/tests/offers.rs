//! Whoever reads sees who holds what, and for how long.

use std::time::Duration;

use protocol::operator::OfferView;
use protocol::time::Instant;

use super::*;

fn offer(n: usize, framework: usize) -> Offer {
    Offer {
        at: agent_info(1).at,
        role: "web".parse().unwrap(),
        ..Offer::plain(
            OfferId::new(format!("m-O{n}")),
            id(framework),
            agent_id(1),
            Resources::cpus_mem(1.0, 64.0),
        )
    }
}

fn seconds(seconds: u64) -> Instant {
    Instant(seconds * 1_000_000_000)
}

fn at(moment: u64) -> Now {
    Now { steady: seconds(moment), ..Now::default() }
}

fn make(view: &mut View, n: usize, framework: usize, since: u64) {
    let (offer, ends) = (offer(n, framework).into(), Some(seconds(since + 300)));
    tell(view, What::OfferLeased { offer, since: seconds(since), ends });
}

fn held(view: &View) -> Vec<OfferView> {
    let ReadAnswer::Offers(offers) = view.answer(List::Offers) else { panic!() };
    offers
}

#[test]
fn offers_are_shown_with_who_holds_them_for_how_long_and_until_when() {
    let mut view = filled();
    assert!(held(&view).is_empty());
    view.tell_time(at(100));
    make(&mut view, 1, 0, 90);
    make(&mut view, 2, 0, 95);
    view.tell_time(at(130));
    let offers = held(&view);
    assert_eq!(offers.len(), 2);
    let one = &offers[0];
    assert_eq!((one.offer.as_str(), one.framework.as_str()), ("m-O1", "c-0000"));
    assert_eq!((&one.agent, one.role.as_str()), (&agent_id(1), "web"));
    assert_eq!(one.hostname, agent_info(1).at.hostname);
    assert_eq!(one.held_for, Duration::from_secs(40));
    assert_eq!(one.lasts_for, Some(Duration::from_secs(260)));
    // As Prometheus reads it, with the one that is held for longest.
    let text = view.metrics();
    let name = &framework().name;
    for line in ["offers", "oldest_offer_seconds"].into_iter().zip(["2", "40"]) {
        let (what, value) = line;
        let line = format!(
            "\nairside_master_framework_{what}{{framework=\"c-0000\",name=\"{name}\"}} {value}\n"
        );
        assert!(text.contains(&line), "{line} in {text}");
    }
    // A view that starts over is told how old each is.
    let lease = What::OfferLeased {
        offer: offer(2, 0).into(),
        since: seconds(95),
        ends: Some(seconds(395)),
    };
    let info = framework();
    let all = vec![What::Framework { info: info.into(), state: FrameworkState::Active }, lease];
    view.start_over(view.cluster.change + 9, all, &Totals::default());
    let offers = held(&view);
    assert_eq!(offers.len(), 1);
    assert_eq!(offers[0].held_for, Duration::from_secs(35));
    tell(&mut view, What::OfferEnded(OfferId::new("m-O2")));
    assert!(held(&view).is_empty());
    assert!(!view.metrics().contains("framework_offers"), "who holds nothing has no line");
}

#[test]
fn names_of_those_who_hold_offers_do_not_make_a_page_of_figures_long() {
    let mut view = filled();
    let name = "x".repeat(1 << 20);
    let info = FrameworkInfo { name, ..framework() };
    tell(&mut view, What::Framework { info: info.into(), state: FrameworkState::Active });
    make(&mut view, 1, 0, 0);
    assert!(view.metrics().len() < 1 << 16);
}
