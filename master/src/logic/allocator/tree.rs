//! Roles as a tree with frameworks at its leaves, and at each fork who comes next: the one with the smallest share, where a share
//! is the largest part held of any scalar in the cluster, divided by the role's weight. A change costs the logarithm of the
//! number of siblings at each fork above it; only changed totals re-sort all, once before the next run.
//!
//! A role whose own frameworks have descendants of the role as rivals competes as a leaf of its own, which Mesos writes `role/.`;
//! here every role has that leaf.

use std::collections::BTreeMap;

use protocol::ids::Role;
use protocol::quota::Weight;
use serde::{Deserialize, Serialize};
use slab::Slab;

use super::amounts::Amounts;
use super::bits::Bits;
use super::chance::Chance;
use super::queue::{Key, Places, Queue};
use super::quota::{Consumption, Guarantees};

/// The node above all roles.
pub(super) const ROOT: u32 = 0;

/// How the next one is found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Order {
    /// The smallest dominant share first.
    Shares,
    /// By lot; chances are as the weights.
    Lots(Chance),
}

/// A role, or its own frameworks together.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Node {
    pub(super) role: Role,
    pub(super) parent: u32,
    /// Its members are frameworks and not nodes.
    pub(super) is_leaf: bool,
    /// How many nodes or members it has, hungry or not.
    below: u32,
    rank: u32,
    weight: f64,
    pub(super) held: Amounts,
    count: u64,
    share: f64,
    /// Those with somebody hungry.
    pub(super) ready: Queue,
    /// Of roles directly below the root.
    pub(super) consumption: Option<Box<Consumption>>,
}

/// What a framework holds under one role.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Member {
    leaf: u32,
    held: Amounts,
    rank: u32,
    count: u64,
    share: f64,
}

/// All roles and, by numbers that their owner chooses, all frameworks in them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Tree {
    order: Order,
    pub(super) totals: Amounts,
    /// Scalars that no share counts.
    excluded: Vec<usize>,
    pub(super) nodes: Slab<Node>,
    node_places: Places,
    /// The nodes of roles, and the leaf below each that has members.
    pub(super) roles: BTreeMap<Role, u32>,
    leaves: BTreeMap<Role, u32>,
    members: Slab<Member>,
    member_places: Places,
    hungry: Bits,
    hungry_count: usize,
    weights: BTreeMap<Role, Weight>,
    pub(super) guarantees: Guarantees,
    /// Roles directly below the root that have less than they are guaranteed, and want something.
    pub(super) wanting: Queue,
    pub(super) wanting_places: Places,
    /// Totals have changed, or somebody has a new rank.
    stale: bool,
    /// Roles came or went since they were ranked.
    unranked: bool,
}

impl Node {
    fn of(role: Role, parent: u32, is_leaf: bool) -> Self {
        let (held, ready) = (Amounts::default(), Queue::default());
        let (below, rank, count) = (0, 0, 0);
        let (weight, share, consumption) = (1.0, 0.0, None);
        Self { role, parent, is_leaf, below, rank, weight, held, count, share, ready, consumption }
    }

    pub(super) fn key(&self) -> Key {
        Key::of(self.share, self.count, self.rank)
    }
}

impl Member {
    fn key(&self) -> Key {
        Key::of(self.share, self.count, self.rank)
    }
}

fn number(of: usize) -> u32 {
    u32::try_from(of).expect("there are fewer frameworks and roles than that")
}

impl Tree {
    pub(super) fn new(order: Order, excluded: Vec<usize>) -> Self {
        let mut nodes = Slab::new();
        let mut root = Node::of(Role::everybody(), ROOT, false);
        root.below = 1; // it stays
        nodes.insert(root);
        Self {
            order,
            totals: Amounts::default(),
            excluded,
            nodes,
            node_places: Places::default(),
            roles: BTreeMap::new(),
            leaves: BTreeMap::new(),
            members: Slab::new(),
            member_places: Places::default(),
            hungry: Bits::default(),
            hungry_count: 0,
            weights: BTreeMap::new(),
            guarantees: Guarantees::default(),
            wanting: Queue::default(),
            wanting_places: Places::default(),
            stale: false,
            unranked: false,
        }
    }

    pub(super) fn node(&self, number: u32) -> &Node {
        &self.nodes[number as usize]
    }

    pub(super) fn add_total(&mut self, total: &Amounts) {
        self.totals.add(total);
        self.stale = true;
    }

    pub(super) fn sub_total(&mut self, total: &Amounts) {
        self.totals.sub(total);
        self.stale = true;
    }

    /// A framework under a role, with a number that no other has.
    pub(super) fn add_member(&mut self, role: &Role) -> u32 {
        let leaf = self.leaf_of(role);
        self.nodes[leaf as usize].below += 1;
        self.stale = true;
        let (held, rank, count, share) = (Amounts::default(), 0, 0, self.first_share(leaf));
        number(self.members.insert(Member { leaf, held, rank, count, share }))
    }

    /// Who draws lots joins as one who was served just now; a share of nothing is nothing.
    fn first_share(&mut self, leaf: u32) -> f64 {
        let now = self.nodes[leaf as usize].ready.key_at(0);
        match &mut self.order {
            Order::Shares => 0.0,
            Order::Lots(chance) => now.map_or(0.0, |(key, _)| key.share()) + chance.pause(),
        }
    }

    /// It holds nothing.
    pub(super) fn remove_member(&mut self, member: u32) {
        self.set_hungry(member, false);
        let leaf = self.members.remove(member as usize).leaf;
        self.nodes[leaf as usize].below -= 1;
        self.prune(leaf);
    }

    /// Its place among siblings whose shares are equal.
    pub(super) fn set_rank(&mut self, member: u32, rank: u32) {
        self.members[member as usize].rank = rank;
        self.stale = true;
    }

    /// The node of a role, made if need be with those above it.
    pub(super) fn role_node(&mut self, role: &Role) -> u32 {
        if let Some(node) = self.roles.get(role) {
            return *node;
        }
        let parent = role.parent().map_or(ROOT, |above| self.role_node(&above));
        let node = self.add_node(role, parent, false);
        if parent == ROOT {
            self.nodes[node as usize].consumption = Some(Box::default());
        }
        self.roles.insert(role.clone(), node);
        node
    }

    fn leaf_of(&mut self, role: &Role) -> u32 {
        if let Some(leaf) = self.leaves.get(role) {
            return *leaf;
        }
        let above = self.role_node(role);
        let leaf = self.add_node(role, above, true);
        self.leaves.insert(role.clone(), leaf);
        leaf
    }

    fn add_node(&mut self, role: &Role, parent: u32, is_leaf: bool) -> u32 {
        let mut node = Node::of(role.clone(), parent, is_leaf);
        let weight = self.weights.get(role).filter(|_| !is_leaf);
        node.weight = weight.map_or(1.0, |weight| weight.as_f64());
        node.share = self.first_share(parent);
        self.nodes[parent as usize].below += 1;
        self.unranked = true;
        number(self.nodes.insert(node))
    }

    /// Drops a node without members, quota or a count of what is reserved, and those above it that have none any more.
    pub(super) fn prune(&mut self, mut node: u32) {
        while node != ROOT {
            let known = &self.nodes[node as usize];
            let counts = known.consumption.as_ref().is_some_and(|c| c.is_of_interest());
            if known.below > 0 || counts {
                return;
            }
            let (role, parent, is_leaf) = (known.role.clone(), known.parent, known.is_leaf);
            let list = if is_leaf { &mut self.leaves } else { &mut self.roles };
            list.remove(&role);
            self.nodes.remove(node as usize);
            self.nodes[parent as usize].below -= 1;
            node = parent;
        }
    }

    pub(super) fn set_weights(&mut self, weights: BTreeMap<Role, Weight>) {
        self.weights = weights;
        for (_, node) in self.nodes.iter_mut().filter(|(_, node)| !node.is_leaf) {
            node.weight = self.weights.get(&node.role).map_or(1.0, |weight| weight.as_f64());
        }
        self.stale = true;
    }

    /// The role directly below the root that a member's is, or is below.
    pub(super) fn top_of(&self, member: u32) -> u32 {
        self.top_of_node(self.members[member as usize].leaf)
    }

    pub(super) fn top_of_node(&self, mut node: u32) -> u32 {
        while self.nodes[node as usize].parent != ROOT {
            node = self.nodes[node as usize].parent;
        }
        node
    }

    /// What part of the cluster a member holds: of the scalar of which that is the largest. Not what it is ordered by, which
    /// may be lots, or a share that is counted anew with the next run.
    pub(super) fn share_of(&self, member: u32) -> f64 {
        self.part(&self.members[member as usize].held)
    }

    fn part(&self, held: &Amounts) -> f64 {
        held.share_of(&self.totals, &self.excluded)
    }

    /// The same of roles, with those below each.
    pub(super) fn role_shares(&self) -> impl Iterator<Item = (Role, f64)> {
        let part = |at: u32| self.part(&self.node(at).held);
        self.roles.iter().map(move |(role, at)| (role.clone(), part(*at)))
    }

    /// What each role directly below the root holds, with those below it.
    pub(super) fn held_by_roles(&self) -> impl Iterator<Item = &Amounts> {
        self.roles
            .values()
            .map(|at| self.node(*at))
            .filter(|node| node.parent == ROOT)
            .map(|node| &node.held)
    }

    pub(super) fn is_hungry(&self, member: u32) -> bool {
        self.hungry.has(member)
    }

    pub(super) fn hungry(&self) -> &Bits {
        &self.hungry
    }

    pub(super) fn hungry_count(&self) -> usize {
        self.hungry_count
    }

    pub(super) fn anybody_hungry(&self) -> bool {
        !self.nodes[ROOT as usize].ready.is_empty()
    }

    /// `revocable` is a part of `amounts`.
    pub(super) fn allocate(&mut self, member: u32, amounts: &Amounts, revocable: Option<&Amounts>) {
        self.change(member, |held| held.add(amounts), true);
        let top = self.top_of(member);
        self.consume(top, |consumption| consumption.allocate(amounts, revocable));
    }

    pub(super) fn release(&mut self, member: u32, amounts: &Amounts, revocable: Option<&Amounts>) {
        self.change(member, |held| held.sub(amounts), false);
        let top = self.top_of(member);
        self.consume(top, |consumption| consumption.release(amounts, revocable));
    }

    fn change(&mut self, member: u32, change: impl Fn(&mut Amounts), more: bool) {
        let Self { order, totals, excluded, nodes, members, .. } = self;
        let entry = &mut members[member as usize];
        change(&mut entry.held);
        entry.count += u64::from(more);
        // Of what is held below, before any weight.
        let mut part = match order {
            Order::Shares => entry.held.share_of(totals, excluded),
            Order::Lots(_) => 0.0,
        };
        entry.share = match order {
            Order::Shares => part,
            Order::Lots(chance) if more => entry.share + chance.pause(),
            Order::Lots(_) => entry.share,
        };
        let mut node = entry.leaf;
        nodes[node as usize].ready.update(&mut self.member_places, entry.key(), member);
        while node != ROOT {
            let changed = &mut nodes[node as usize];
            change(&mut changed.held);
            changed.count += u64::from(more);
            changed.share = match order {
                Order::Shares => {
                    // The only one below holds as much.
                    if changed.below != 1 {
                        part = changed.held.share_of(totals, excluded);
                    }
                    part / changed.weight
                }
                Order::Lots(chance) if more => changed.share + chance.pause() / changed.weight,
                Order::Lots(_) => changed.share,
            };
            let (key, parent) = (changed.key(), changed.parent);
            nodes[parent as usize].ready.update(&mut self.node_places, key, node);
            if parent == ROOT {
                self.wanting.update(&mut self.wanting_places, key, node);
            }
            node = parent;
        }
    }

    /// Where lots are drawn, who was away does not make up for it: it, and each role that comes back with it, draws anew.
    fn rejoin(&mut self, member: u32) {
        if let Order::Shares = self.order {
            return;
        }
        let mut node = self.members[member as usize].leaf;
        let share = self.first_share(node).max(self.members[member as usize].share);
        self.members[member as usize].share = share;
        while node != ROOT && self.nodes[node as usize].ready.is_empty() {
            let parent = self.nodes[node as usize].parent;
            let share = self.first_share(parent).max(self.nodes[node as usize].share);
            self.nodes[node as usize].share = share;
            node = parent;
        }
    }

    /// Whether that is news.
    pub(super) fn set_hungry(&mut self, member: u32, hungry: bool) -> bool {
        if self.hungry.has(member) == hungry {
            return false;
        }
        if hungry {
            self.rejoin(member);
        }
        let entry = &self.members[member as usize];
        let (key, mut node) = (entry.key(), entry.leaf);
        let ready = &mut self.nodes[node as usize].ready;
        let was_empty = ready.is_empty();
        if hungry {
            self.hungry.insert(member);
            self.hungry_count += 1;
            ready.insert(&mut self.member_places, key, member);
        } else {
            self.hungry.remove(member);
            self.hungry_count -= 1;
            ready.remove(&mut self.member_places, member);
        }
        let mut turned = was_empty || ready.is_empty();
        while turned && node != ROOT {
            let (key, parent) = (self.nodes[node as usize].key(), self.nodes[node as usize].parent);
            let above = &mut self.nodes[parent as usize].ready;
            let was_empty = above.is_empty();
            if hungry {
                above.insert(&mut self.node_places, key, node);
            } else {
                above.remove(&mut self.node_places, node);
            }
            turned = was_empty || above.is_empty();
            if parent == ROOT {
                self.settle_wanting(node);
            }
            node = parent;
        }
        true
    }

    /// Counts all shares anew if the totals have changed, and ranks whoever is not ranked yet.
    pub(super) fn refresh(&mut self) {
        if std::mem::take(&mut self.unranked) {
            self.rank_nodes();
            self.stale = true;
        }
        if !std::mem::take(&mut self.stale) {
            return;
        }
        if let Order::Shares = self.order {
            for (_, member) in &mut self.members {
                member.share = member.held.share_of(&self.totals, &self.excluded);
            }
            for (_, node) in &mut self.nodes {
                node.share = node.held.share_of(&self.totals, &self.excluded) / node.weight;
            }
        }
        let numbers: Vec<usize> = self.nodes.iter().map(|(number, _)| number).collect();
        for at in numbers {
            let before = std::mem::take(&mut self.nodes[at].ready);
            let mut ready = Queue::default();
            for below in before.members() {
                if self.nodes[at].is_leaf {
                    let key = self.members[below as usize].key();
                    ready.insert(&mut self.member_places, key, below);
                } else {
                    let key = self.nodes[below as usize].key();
                    ready.insert(&mut self.node_places, key, below);
                }
            }
            self.nodes[at].ready = ready;
        }
        let wanting: Vec<u32> = self.wanting.members().collect();
        for top in wanting {
            let key = self.node(top).key();
            self.wanting.update(&mut self.wanting_places, key, top);
        }
    }

    /// By path, as Mesos orders what is equal otherwise.
    fn rank_nodes(&mut self) {
        let path = |node: &Node| {
            if node.is_leaf { format!("{}/.", node.role) } else { node.role.to_string() }
        };
        let mut paths: Vec<(String, usize)> =
            self.nodes.iter().map(|(number, node)| (path(node), number)).collect();
        paths.sort_unstable();
        for (rank, (_, at)) in paths.into_iter().enumerate() {
            self.nodes[at].rank = number(rank);
        }
    }

    /// The member that comes first of all, or of those whose roles lack something guaranteed.
    pub(super) fn first(&self, guaranteed: bool) -> Option<u32> {
        let mut node = if guaranteed { self.node(self.wanting.first()?) } else { self.node(ROOT) };
        loop {
            let first = node.ready.first()?;
            if node.is_leaf {
                return Some(first);
            }
            node = self.node(first);
        }
    }

    /// By which a member is before or behind another one.
    pub(super) fn keys_of(&self, member: u32) -> Vec<Key> {
        let entry = &self.members[member as usize];
        let mut keys = vec![entry.key()];
        let mut node = entry.leaf;
        while node != ROOT {
            keys.push(self.node(node).key());
            node = self.node(node).parent;
        }
        keys.reverse();
        keys
    }
}
