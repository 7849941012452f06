"""Whether IAM lets a caller do what a request asks: policies, the actions behind requests, and the decision."""
