//! Typed actors on actix that talk over TCP.
