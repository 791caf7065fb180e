"""What happened, and who is told: alerts by mail, log records to syslog receivers, a watch over the machine."""
