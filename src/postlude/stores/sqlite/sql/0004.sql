-- Version 4: whose a call is that another's job stands for.

ALTER TABLE alias ADD COLUMN owner TEXT;                -- null: nobody's
