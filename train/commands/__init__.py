"""What each verb does: `run` gives plain data, `lines` tells it to people, `status`, where it judges, is its exit."""
