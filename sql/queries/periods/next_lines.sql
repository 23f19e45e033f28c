-- The cursor's next lines; none: it is at its end.
FETCH 5000 FROM statement_lines
