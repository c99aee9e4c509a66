//! What really happened to the key, which the protocol can't see, and what must never be.

use idem_runtime::protocol::Micros;
use idem_runtime::store::Previous;

use crate::state::Drawn;

/// How a body went.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Went {
    /// It goes on.
    On,
    Well,
    /// Nobody knows.
    Unknown,
    /// It failed, or someone found out what it did.
    Settled,
    /// It says that it did nothing. So nothing is known of the bodies before it.
    Skipped,
}

/// A body that was started.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Body {
    pub(crate) owner: Drawn,
    pub(crate) fence: u64,
    pub(crate) went: Went,
    pub(crate) recorded: bool,
}

impl Body {
    /// It may have had an effect that nothing tells of.
    pub(crate) fn is_in_doubt(&self) -> bool {
        !matches!(self.went, Went::Settled | Went::Skipped) && !self.recorded
    }
}

/// Whose word on the key came last: a grant, or an operator.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Last {
    pub(crate) owner: Drawn,
    pub(crate) fence: u64,
    pub(crate) previous: Previous,
}

/// What really happened.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Truth {
    /// The highest fence that there was.
    pub(crate) highest: u64,
    pub(crate) last: Option<Last>,
    /// The fence that an operator's last word raised: who holds a lower one was overruled.
    pub(crate) overruled: u64,
    /// Who was promised the key, until when.
    pub(crate) lease: Option<(Drawn, Micros)>,
    /// Whose record there is, and until when it was promised.
    pub(crate) record: Option<(Drawn, Micros)>,
    /// Until when a failure is to be remembered.
    pub(crate) failed: Option<Micros>,
    /// The fence of the last holder that left before its body ran.
    pub(crate) undone: Option<u64>,
    /// How many holders there were since the key was new, those that left before their bodies ran aside.
    pub(crate) holders: u32,
    pub(crate) bodies: Vec<Body>,
    pub(crate) broken: Flags,
}

impl Truth {
    pub(crate) fn new() -> Self {
        Self {
            highest: 0,
            last: None,
            overruled: 0,
            lease: None,
            record: None,
            failed: None,
            undone: None,
            holders: 0,
            bodies: Vec::new(),
            broken: Flags::default(),
        }
    }

    pub(crate) fn is_last(&self, owner: Drawn, fence: u64) -> bool {
        self.last.is_some_and(|last| last.owner == owner && last.fence == fence)
    }

    /// The bodies in doubt, those aside whose holders an operator overruled.
    pub(crate) fn in_doubt(&self) -> impl Iterator<Item = &Body> {
        self.bodies.iter().filter(|body| body.is_in_doubt() && body.fence > self.overruled)
    }

    pub(crate) fn body(&mut self, owner: Drawn, fence: u64) -> Option<&mut Body> {
        self.bodies.iter_mut().find(|body| body.owner == owner && body.fence == fence)
    }

    /// Everything before this fence is known.
    pub(crate) fn settle_before(&mut self, fence: u64) {
        self.bodies.iter_mut().filter(|body| body.fence < fence).for_each(|body| body.went = Went::Settled);
    }

    pub(crate) fn has_record(&self, now: Micros) -> bool {
        self.record.is_some_and(|(_, until)| until > now)
    }

    /// The holder of a live lease.
    pub(crate) fn holder(&self, now: Micros) -> Option<Drawn> {
        self.lease.filter(|(_, until)| *until > now).map(|(owner, _)| owner)
    }

    pub(crate) fn breaks_if(&mut self, is: bool, broken: Broken) {
        if is {
            self.broken.0 |= 1 << broken as u32;
        }
    }
}

/// What must never be.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Broken {
    FenceDoesNotGrow,
    CompletedRunsAgain,
    ZombieEnds,
    TwoHolders,
    TwoBodiesOfOneFence,
    TwoBodiesAtOnce,
    ParkedRunsAgain,
    RunsAgainUnreconciled,
    Phantom,
    ParkedWithoutDoubt,
    RecordedIsLost,
    WrongPrevious,
    WrongDoubt,
    WrongAttempt,
    CompletedTooEarly,
    OtherPayload,
    ReuseIsNotTold,
    Stuck,
    OutcomeLost,
    RepeatHasAnotherFence,
    RecordReplaced,
    HolderOverruled,
}

impl Broken {
    /// All of them, in order, with what a report says.
    pub const ALL: [(Self, &'static str); 22] = [
        (Self::FenceDoesNotGrow, "a fence doesn't grow"),
        (Self::CompletedRunsAgain, "a completed key runs again within its ttl"),
        (Self::ZombieEnds, "a zombie's ending is accepted"),
        (Self::TwoHolders, "two hold a live lease"),
        (Self::TwoBodiesOfOneFence, "two bodies run under one fence"),
        (Self::TwoBodiesAtOnce, "a body starts while another runs within its lease"),
        (Self::ParkedRunsAgain, "a parked key runs again unresolved"),
        (Self::RunsAgainUnreconciled, "a key runs again unreconciled"),
        (Self::Phantom, "a lease is live, and its caller was told that its call is over"),
        (Self::ParkedWithoutDoubt, "a key is parked though nothing is in doubt"),
        (Self::RecordedIsLost, "a completion that was recorded is lost"),
        (Self::WrongPrevious, "a claim is told wrongly what came before it"),
        (Self::WrongDoubt, "a claim is told of the wrong holder that died"),
        (Self::WrongAttempt, "an attempt is counted wrongly"),
        (Self::CompletedTooEarly, "a duplicate is told that its key is completed, and it isn't"),
        (Self::OtherPayload, "another payload runs over an unknown effect"),
        (Self::ReuseIsNotTold, "another payload is answered as if it were the key's"),
        (Self::Stuck, "a key can never be completed"),
        (Self::OutcomeLost, "a success is known, and its key is not completed"),
        (Self::RepeatHasAnotherFence, "a running call's repeated claim gets another fence"),
        (Self::RecordReplaced, "an operator replaces a handler's own record"),
        (Self::HolderOverruled, "an operator resolves a key whose lease is live"),
    ];

    /// What a report says.
    pub fn text(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// A set of what is broken.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub struct Flags(u32);

impl Flags {
    /// Everything.
    pub const ALL: Self = Self(u32::MAX);

    /// This one alone.
    pub fn only(broken: Broken) -> Self {
        Self(1 << broken as u32)
    }

    pub(crate) fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// What reports say of those in it.
    pub fn texts(self) -> impl Iterator<Item = &'static str> {
        Broken::ALL.into_iter().filter(move |(broken, _)| self.meets(Self::only(*broken))).map(|(_, text)| text)
    }
}
