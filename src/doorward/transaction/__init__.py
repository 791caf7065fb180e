"""From a candidate to the running configuration: merge, rules, plan, journal, apply, verify, publish."""
