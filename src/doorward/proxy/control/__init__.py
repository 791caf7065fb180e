"""The part of ``doorward serve`` that decides for sessions: who comes in, where to, and with what. Workers only carry it out."""
