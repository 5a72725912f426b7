"""Who is here: sign in and out, on a copy of the site for trying it by one click."""
