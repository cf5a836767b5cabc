//! What a login leaves behind for hook run and watch: mode, API, e-mail, database, token file.
