"""What each route answers: one class a route. Knows no connections and no path."""
