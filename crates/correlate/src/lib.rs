//! Events to facts, incrementally, with retractions.
