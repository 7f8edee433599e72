"""ExpW (Expression in the Wild): 91,793 faces in photos from the web, with boxes and seven expressions."""
