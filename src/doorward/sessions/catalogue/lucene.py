"""luqum's parser of Lucene's query language, with the tables that it brings along.

Its generator takes them only where a digest of the grammar's docstrings fits, which it does not on Python 3.13: that strips
docstrings. It would then make new ones at each start, warn of what was decided about the grammar long ago, and write them
beside itself.
"""

from __future__ import annotations

from functools import partial

from ply import yacc

__all__ = ["parse"]

_yacc = yacc.yacc
yacc.yacc = partial(_yacc, optimize=True, debug=False, write_tables=False)
try:
    from luqum.thread import parse
finally:
    yacc.yacc = _yacc
