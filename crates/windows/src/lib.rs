//! Panes, exact rolling windows, and the steps in which a metric changes.
