WITH masks AS (
  SELECT e."#user_id" AS user_id, 1 AS m0
  FROM events AS e
  WHERE e."#event_name" = 'pay'
  GROUP BY e."#user_id"
  HAVING count(*) > 5
)
SELECT user_id
FROM masks
WHERE (m0 & 1) <> 0
  AND user_id IN (SELECT "#user_id" FROM users)
