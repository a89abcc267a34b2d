"""Background jobs as callers see them: submitted, watched, cancelled."""
