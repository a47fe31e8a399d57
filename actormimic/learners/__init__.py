"""What one update is: Q-learning and Actor-Mimic. The loop around them is actormimic.training."""
