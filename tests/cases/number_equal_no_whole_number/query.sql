WITH masks AS (
  SELECT u."#user_id" AS user_id, CASE WHEN u."level" = 3 THEN 1 ELSE 0 END AS m0
  FROM users AS u
  WHERE u."level" = 3
)
SELECT user_id
FROM masks
WHERE (m0 & 1) <> 0
