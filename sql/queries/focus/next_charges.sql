-- The next charges of the cursor; no row: there are no more.
FETCH FORWARD 2000 FROM focus_charges
